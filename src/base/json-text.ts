/** Errors about text that is not JSON, in haplan's own words: those of the engine's parser change between versions. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** @throws JsonError whose message completes a sentence: `it is empty` */
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
  // Distinguishes a text with a mistake from one that was truncated by a full disk or an interrupted transfer.
  if (/end of JSON|Unterminated/.test(parserError) || (position !== undefined && position >= length))
    return `it is truncated: the JSON ends at ${placeOf(text, length)}`;
  return position === undefined ? "it is not JSON" : `it is not JSON at ${placeOf(text, position)}`;
}

function placeOf(text: string, offset: number): string {
  const lines = text.slice(0, offset).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
}
