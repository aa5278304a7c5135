"""Fine-tuning: train the last layers of a backbone together with the head, on pixels."""
