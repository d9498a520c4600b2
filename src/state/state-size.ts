/**
 * Limits the size of a state that others may have written: a huge text, or a few bytes that decompress to any size,
 * would otherwise exhaust the memory of the host that reads it.
 */
import { gunzipSync } from "node:zlib";
import { errorText, HaplanError, systemErrorCode } from "../base/haplan-error.ts";

/** The state of a cluster of five masters and a hundred workers has about 100 KiB. */
export const stateBytesMax: number = 64 * 1024 * 1024;

/** @throws HaplanError `state/unreadable`: it decompresses to too much, or is not compressed text. */
export function unpackState(packed: Uint8Array, place: string): string {
  try {
    return gunzipSync(packed, { maxOutputLength: stateBytesMax }).toString("utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ERR_BUFFER_TOO_LARGE") throw tooLarge(place);
    throw new HaplanError("state/unreadable", `Cannot decompress the state\n${place}: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** @throws HaplanError `state/unreadable` as soon as the limit is exceeded, or the stream's own error. */
export async function readStateStream(stream: AsyncIterable<Uint8Array>, place: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > stateBytesMax) throw tooLarge(place);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function tooLarge(place: string): HaplanError {
  return new HaplanError(
    "state/unreadable",
    `Cannot read the state\n${place}: it is larger than ${stateBytesMax / 1024 / 1024} MiB, the limit for a haplan state. Nothing was changed. Check what is stored there.`,
  );
}
