/** The path of a value in JSON: `masters.value[0].ip`, or a JSON pointer (RFC 6901) where a key holds a dot. */
import { pointerKeys } from "../finding.ts";

export type DataPath = readonly string[];

const step = /^(?:\.?([^.[\]]+)|\[(\d+)\])/;

/** Null if `text` is no path. The empty text is the whole document. */
export function parseDataPath(text: string): DataPath | null {
  if (text.startsWith("/")) return pointerKeys(text);
  const keys: string[] = [];
  for (let rest = text; rest !== ""; ) {
    const match = step.exec(rest);
    // A path begins with a key or an index, not with a dot.
    if (match === null || (keys.length === 0 && rest.startsWith("."))) return null;
    keys.push(match[1] ?? match[2] ?? "");
    rest = rest.slice(match[0].length);
  }
  return keys;
}

/** The path in the notation of messages. */
export function formatDataPath(path: DataPath): string {
  if (path.some((key) => key === "" || /[.[\]/]/.test(key)))
    return path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  return path
    .map((key) => (/^\d+$/.test(key) ? `[${key}]` : `.${key}`))
    .join("")
    .replace(/^\./, "");
}
