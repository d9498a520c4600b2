/** A text that is no JSON, in words of our own: those of the engine's parser change with its version. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** @throws JsonError that says what is wrong, as the end of a sentence: `it is empty` */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new JsonError(reasonOf(text, String(error)), { cause: error });
  }
}

function reasonOf(text: string, parserError: string): string {
  const length = text.trimEnd().length;
  if (length === 0) return "it is empty";
  const [, digits] = /at position (\d+)/.exec(parserError) ?? [];
  const position = digits === undefined ? undefined : Number(digits);
  // A text with a mistake in it is told apart from one that a full disk or a broken transfer has cut off.
  if (/end of JSON|Unterminated/.test(parserError) || (position !== undefined && position >= length))
    return `it is cut off: the JSON ends at ${placeOf(text, length)}`;
  return position === undefined ? "it is not JSON" : `it is not JSON at ${placeOf(text, position)}`;
}

function placeOf(text: string, offset: number): string {
  const lines = text.slice(0, offset).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
}
