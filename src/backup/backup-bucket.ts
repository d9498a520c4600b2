/**
 * Backups in a bucket: the objects below `<prefix>/<cluster>/backups/`, with the names and the content that they have in a directory.
 * What describes a backup is uploaded after it: without that it counts as not verified, and no retention removes it.
 */
import { createWriteStream, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HaplanError } from "../base/haplan-error.ts";
import { loadS3, type S3 } from "../s3/s3-client.ts";
import { s3Advice, s3ErrorCode, s3ErrorText } from "../s3/s3-failure.ts";
import { type S3Object, uploadFile } from "../s3/upload-file.ts";
import type { BucketSpec } from "../spec/cluster-spec.ts";
import { type BackupManifest, digestPath, manifestOf, manifestPath } from "./backup-manifest.ts";
import { expiredBackups, isBackupName, type ListedBackup, newestFirst, type Retention } from "./listed-backups.ts";

export type BackupBucketOptions = {
  readonly bucket: BucketSpec;
  readonly cluster: string;
  /** Of the settings, for messages. */
  readonly setting: string;
  /** What to do without credentials, where that is not what the AWS CLI does. */
  readonly credentialsAdvice?: string;
};

/** All of it @throws HaplanError `backup/s3` with what the store has said, once the store does not do what it is asked. */
export type BackupBucket = {
  /** `s3://bucket/prefix/cluster/backups/`. */
  readonly place: string;
  /** Uploads a verified backup with what belongs to it, under its own name, and returns its URL. Nothing is kept if it fails. */
  upload(path: string, signal?: AbortSignal): Promise<string>;
  /** The newest first. */
  list(): Promise<readonly ListedBackup[]>;
  /** With what belongs to it. */
  remove(url: string): Promise<void>;
  /** Downloads a backup and what describes it into a directory, and returns its path there; null if there is none. */
  download(url: string, directory: string, signal?: AbortSignal): Promise<string | null>;
};

/** Larger ones were not written by haplan. */
const manifestBytesMax = 65_536;
const concurrentReads = 8;

const urlPattern = /^s3:\/\/([^/]+)\/(.+)$/;

/** Null if it is no URL of an object. */
export function parseS3Url(url: string): S3Object | null {
  const [, Bucket, Key] = urlPattern.exec(url) ?? [];
  return Bucket === undefined || Key === undefined ? null : { Bucket, Key };
}

/** The SDK is loaded with the first request. */
export function openBackupBucket({ bucket, cluster, setting, credentialsAdvice }: BackupBucketOptions): BackupBucket {
  const directory = `${bucket.prefix === "" ? "" : `${bucket.prefix}/`}${cluster}/backups/`;
  const place = `s3://${bucket.bucket}/${directory}`;
  let loading: Promise<S3> | undefined;
  const ask = async <T>(what: string, work: (s3: S3) => Promise<T>): Promise<T> => {
    loading ??= loadS3(bucket);
    try {
      return await work(await loading);
    } catch (error) {
      throw failure(what, error, setting, credentialsAdvice);
    }
  };
  return {
    place,
    upload: async (path, signal) => {
      const url = `${place}${basename(path)}`;
      await ask(`upload the backup to ${url}`, (s3) => uploadAll(s3, objectAt(url), path, signal));
      return url;
    },
    list: () => ask(`list the backups in ${place}`, (s3) => listObjects(s3, { Bucket: bucket.bucket, Key: directory })),
    remove: (url) =>
      ask(`remove the backup ${url}`, async (s3) => {
        const { Bucket, Key } = objectAt(url);
        // What says that it is haplan's is last.
        await removeAll(
          s3,
          [Key, digestPath(Key), manifestPath(Key)].map((key) => ({ Bucket, Key: key })),
        );
      }),
    download: (url, target, signal) =>
      ask(`download the backup ${url}`, async (s3) => {
        const object = objectAt(url);
        const path = join(target, basename(object.Key));
        if (!(await downloadObject(s3, object, path, signal))) return null;
        const manifest = { ...object, Key: manifestPath(object.Key) };
        await downloadObject(s3, manifest, manifestPath(path), signal);
        return path;
      }),
  };
}

export type ExpiryOptions = {
  readonly cluster: string;
  readonly retention: Retention;
  readonly nowMs: number;
  /** The URL of the backup that was uploaded before. */
  readonly saved: string;
};

/** Removes what the retention no longer keeps, and returns its URLs. @throws HaplanError `backup/retention` */
export async function removeExpired(
  bucket: BackupBucket,
  { cluster, retention, nowMs, saved }: ExpiryOptions,
): Promise<readonly string[]> {
  try {
    const expired = expiredBackups(await bucket.list(), cluster, retention, nowMs);
    for (const url of expired) await bucket.remove(url);
    return expired;
  } catch (error) {
    if (!(error instanceof HaplanError)) throw error;
    const summary = "The backup was saved, but older ones were not removed";
    throw new HaplanError("backup/retention", `${summary}\nSaved: ${saved}\n${error.message}`, { cause: error });
  }
}

function objectAt(url: string): S3Object {
  const object = parseS3Url(url);
  if (object === null) throw new HaplanError("backup/unreadable", `"${url}" is no URL of an object: s3://BUCKET/KEY`);
  return object;
}

function failure(what: string, error: unknown, setting: string, credentialsAdvice: string | undefined): HaplanError {
  if (error instanceof HaplanError) return error;
  const isWithout = s3ErrorCode(error) === "CredentialsProviderError";
  const advice = (isWithout ? (credentialsAdvice ?? s3Advice(error)) : s3Advice(error)).replace(
    /`(region|endpoint)`/g,
    `\`${setting}.$1\``,
  );
  const message = [`Cannot ${what}`, s3ErrorText(error), `${advice} Nothing was changed.`.trim()].join("\n");
  return new HaplanError("backup/s3", message, { cause: error });
}

async function uploadAll(s3: S3, object: S3Object, path: string, signal: AbortSignal | undefined): Promise<void> {
  const begun: S3Object[] = [];
  const upload = async (to: S3Object, from: string): Promise<void> => {
    begun.unshift(to);
    await uploadFile(s3, to, from, { signal });
  };
  try {
    await upload(object, path);
    for (const beside of [digestPath, manifestPath]) await upload({ ...object, Key: beside(object.Key) }, beside(path));
  } catch (error) {
    // The answer to a call that the store has done may be lost. The failure that is told is the first one.
    await removeAll(s3, begun).catch(() => undefined);
    throw error;
  }
}

async function removeAll(s3: S3, objects: readonly S3Object[]): Promise<void> {
  for (const object of objects) await removeObject(s3, object);
}

async function removeObject({ client, sdk }: S3, object: S3Object): Promise<void> {
  await client.send(new sdk.DeleteObjectCommand(object));
}

/** `Key` is the prefix of the names. */
async function listObjects(s3: S3, { Bucket, Key }: S3Object): Promise<readonly ListedBackup[]> {
  const { client, sdk } = s3;
  const found = new Map<string, { readonly sizeBytes: number; readonly modifiedMs: number }>();
  let next: string | undefined;
  do {
    const page = { Bucket, Prefix: Key, Delimiter: "/", ...(next === undefined ? {} : { ContinuationToken: next }) };
    const { Contents = [], NextContinuationToken } = await client.send(new sdk.ListObjectsV2Command(page));
    for (const { Key: key = "", Size = 0, LastModified } of Contents)
      found.set(key, { sizeBytes: Size, modifiedMs: LastModified?.getTime() ?? 0 });
    next = NextContinuationToken;
  } while (next !== undefined);
  const keys = [...found.keys()].filter((key) => isBackupName(key));
  const listed: { readonly createdMs: number; readonly backup: ListedBackup }[] = [];
  const read = async (waiting: IterableIterator<string>): Promise<void> => {
    for (const key of waiting) {
      const { sizeBytes, modifiedMs } = found.get(key)!;
      const describing = found.get(manifestPath(key))?.sizeBytes ?? Number.POSITIVE_INFINITY;
      const isRead = describing <= manifestBytesMax;
      const text = isRead ? await readText(s3, { Bucket, Key: manifestPath(key) }) : null;
      const manifest: BackupManifest | null = text === null ? null : manifestOf(text, sizeBytes);
      const createdMs = manifest === null ? modifiedMs : Date.parse(manifest.createdAt);
      listed.push({ createdMs, backup: { path: `s3://${Bucket}/${key}`, fileBytes: sizeBytes, manifest } });
    }
  };
  const waiting = keys.values();
  await Promise.all(Array.from({ length: concurrentReads }, () => read(waiting)));
  return newestFirst(listed);
}

/** Null if it was removed meanwhile. */
async function readText({ client, sdk }: S3, object: S3Object): Promise<string | null> {
  try {
    const { Body } = await client.send(new sdk.GetObjectCommand(object));
    return (await Body?.transformToString("utf8")) ?? null;
  } catch (error) {
    if (s3ErrorCode(error) === "NoSuchKey") return null;
    throw error;
  }
}

/** False if there is no such object. A part of it is not kept. */
async function downloadObject(
  { client, sdk }: S3,
  object: S3Object,
  path: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const options = signal === undefined ? {} : { abortSignal: signal };
  try {
    const { Body, ContentLength } = await client.send(new sdk.GetObjectCommand(object), options);
    const file = createWriteStream(path, { flags: "wx", mode: 0o600 });
    await pipeline(Body as Readable, file, signal === undefined ? {} : { signal });
    if (ContentLength !== undefined && file.bytesWritten !== ContentLength)
      throw new Error(`the connection was cut after ${file.bytesWritten} of ${ContentLength} bytes`);
    return true;
  } catch (error) {
    rmSync(path, { force: true });
    if (s3ErrorCode(error) === "NoSuchKey") return false;
    throw error;
  }
}
