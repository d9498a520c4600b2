import { HaplanError } from "../base/haplan-error.ts";

const newline = 0x0a;

/**
 * The lines of a stream of bytes, without their ends; what comes after the last end is left out. Only a line feed ends a
 * line: JSON may hold any other separator.
 * @throws HaplanError `provider/line-too-long`, and what the stream fails with
 */
export async function* splitLines(stream: AsyncIterable<Uint8Array>, lineBytesMax: number): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      parts.push(chunk.subarray(from, end));
      yield Buffer.concat(parts).toString("utf8");
      parts = [];
      bytes = 0;
      from = end + 1;
    }
    parts.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > lineBytesMax)
      throw new HaplanError("provider/line-too-long", `A line is longer than ${lineBytesMax} bytes`);
  }
}
