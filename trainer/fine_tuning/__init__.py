"""Fine-tuning: the last layers of a backbone trained together with the head, on pixels."""
