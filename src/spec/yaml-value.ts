/** Values in the text of a spec. */
import { stringify } from "yaml";
import type { Json } from "../base/json.ts";

/** On one line, quoted where it has to be; a dollar sign would begin a variable. */
export function yamlValue(value: Json): string {
  const text = stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trim();
  return text.replaceAll("$", "$$$$");
}
