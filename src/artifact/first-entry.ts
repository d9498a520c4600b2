import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";

/** The name of the first file or directory of a .tar.gz: of a release, it says which one that is. */
export async function firstEntry(path: string): Promise<string> {
  const file = createReadStream(path);
  const archive = extract();
  const ended = pipeline(file, createGunzip(), archive);
  ended.catch(() => undefined);
  try {
    for await (const { header } of archive) return header.name;
    return "";
  } finally {
    file.destroy();
    archive.destroy();
  }
}
