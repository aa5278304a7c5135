import { text } from "../frame/text";

export default function View() {
  return <p>{text.notYet}</p>;
}
