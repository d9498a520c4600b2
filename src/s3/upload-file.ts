/**
 * Uploads a file: in one piece, or in parts if it is large. S3 shows an object only once all of it is there. Each part is sent with
 * its SHA-256, which the store compares; afterwards the size and the digest of the object are compared with those of the file.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { HaplanError } from "../base/haplan-error.ts";
import type { S3 } from "./s3-client.ts";

export type S3Object = { readonly Bucket: string; readonly Key: string };

type UploadOptions = { readonly signal?: AbortSignal | undefined; readonly partBytes?: number };

/** S3's least is 5 MiB. */
const partBytesDefault = 8 * 1024 * 1024;
/** S3's limit. */
const partsMax = 10_000;
const concurrentParts = 3;

/** What a store may say of an object's content, each as base64. */
type Digests = {
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Of the digests of the parts. */
  readonly composite: string;
};

/** Nothing is at the object's place if it fails, unless the store has lost the answer to the last call. */
export async function uploadFile(s3: S3, object: S3Object, path: string, options: UploadOptions = {}): Promise<void> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const least = options.partBytes ?? partBytesDefault;
    const partBytes = Math.max(least, Math.ceil(size / partsMax));
    const signal = options.signal === undefined ? {} : { abortSignal: options.signal };
    const digests =
      size <= partBytes
        ? await putWhole(s3, object, await readPart(file, 0, size), signal)
        : await putParts(s3, object, { file, size, partBytes }, options.signal);
    await assertStored(s3, object, digests, signal);
  } finally {
    await file.close();
  }
}

async function putWhole(
  { client, sdk }: S3,
  object: S3Object,
  bytes: Buffer,
  options: { readonly abortSignal?: AbortSignal },
): Promise<Digests> {
  const sha256 = digestOf(bytes);
  await client.send(new sdk.PutObjectCommand({ ...object, Body: bytes, ChecksumSHA256: sha256 }), options);
  return { sizeBytes: bytes.length, sha256, composite: sha256 };
}

type Source = { readonly file: FileHandle; readonly size: number; readonly partBytes: number };

async function putParts(s3: S3, object: S3Object, source: Source, stop: AbortSignal | undefined): Promise<Digests> {
  const { client, sdk } = s3;
  const begin = new sdk.CreateMultipartUploadCommand({ ...object, ChecksumAlgorithm: "SHA256" });
  const { UploadId } = await client.send(begin, stop === undefined ? {} : { abortSignal: stop });
  const upload = { ...object, UploadId };
  const failed = new AbortController();
  const options = { abortSignal: stop === undefined ? failed.signal : AbortSignal.any([stop, failed.signal]) };
  try {
    const whole = createHash("sha256");
    const sent: { readonly PartNumber: number; readonly ETag: string; readonly ChecksumSHA256: string }[] = [];
    const parts = readParts(source, whole);
    const send = async (): Promise<void> => {
      for await (const { PartNumber, bytes } of parts) {
        const part = { PartNumber, ChecksumSHA256: digestOf(bytes) };
        const { ETag } = await client.send(new sdk.UploadPartCommand({ ...upload, ...part, Body: bytes }), options);
        sent.push({ ...part, ETag: ETag ?? "" });
      }
    };
    await allOrFirstFailure(Array.from({ length: concurrentParts }, send), failed);
    const Parts = sent.toSorted((a, b) => a.PartNumber - b.PartNumber);
    const complete = new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } });
    await client.send(complete, options);
    const digests = Parts.map(({ ChecksumSHA256 }) => Buffer.from(ChecksumSHA256, "base64"));
    return {
      sizeBytes: source.size,
      sha256: whole.digest("base64"),
      composite: digestOf(Buffer.concat(digests)),
    };
  } catch (error) {
    // Its parts would take space that no list shows. The failure that is told is the first one.
    await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(() => undefined);
    throw error;
  }
}

/** Rejects with the first failure once nothing is under way any more. */
async function allOrFirstFailure(work: readonly Promise<void>[], failed: AbortController): Promise<void> {
  let first: unknown;
  const noted = work.map((each) =>
    each.catch((error: unknown) => {
      first ??= error;
      failed.abort();
    }),
  );
  await Promise.all(noted);
  if (first !== undefined) throw first;
}

async function* readParts(
  { file, size, partBytes }: Source,
  whole: ReturnType<typeof createHash>,
): AsyncGenerator<{ readonly PartNumber: number; readonly bytes: Buffer }, void> {
  for (let at = 0, PartNumber = 1; at < size; at += partBytes, PartNumber++) {
    const bytes = await readPart(file, at, Math.min(partBytes, size - at));
    whole.update(bytes);
    yield { PartNumber, bytes };
  }
}

async function readPart(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  for (let read = 0; read < length; ) {
    const { bytesRead } = await file.read(bytes, read, length - read, at + read);
    if (bytesRead === 0) throw new Error("the file became shorter while it was read");
    read += bytesRead;
  }
  return bytes;
}

/** The object is removed if it is not what was sent. */
async function assertStored(
  s3: S3,
  object: S3Object,
  sent: Digests,
  options: { readonly abortSignal?: AbortSignal },
): Promise<void> {
  const { client, sdk } = s3;
  const head = await client.send(new sdk.HeadObjectCommand({ ...object, ChecksumMode: "ENABLED" }), options);
  const stored = head.ContentLength ?? -1;
  // Some stores write the number of parts after the digest of digests.
  const said = head.ChecksumSHA256?.replace(/-\d+$/, "");
  if (stored === sent.sizeBytes && (said === sent.sha256 || said === sent.composite)) return;
  // A store without checksums, or with others: what it has is read back.
  const isSame = stored === sent.sizeBytes && (await digestOfObject(s3, object, options)) === sent.sha256;
  if (isSame) return;
  await client.send(new sdk.DeleteObjectCommand(object));
  throw new HaplanError(
    "backup/s3-changed",
    stored === sent.sizeBytes
      ? "the store has other bytes than were sent"
      : `the store has ${stored} bytes of ${sent.sizeBytes}`,
  );
}

async function digestOfObject(
  { client, sdk }: S3,
  object: S3Object,
  options: { readonly abortSignal?: AbortSignal },
): Promise<string> {
  const { Body } = await client.send(new sdk.GetObjectCommand(object), options);
  const hash = createHash("sha256");
  for await (const piece of Body as Readable) hash.update(piece as Uint8Array);
  return hash.digest("base64");
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}
