/** Uploads of files: the SDK is the real one, the store behind HTTP is in this process. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { emulatedEnvironment, withEnvironment } from "../../test/providers/aws/emulator.ts";
import { type S3Server, startS3Server } from "../../test/support/s3-server.ts";
import { loadS3, type S3 } from "./s3-client.ts";
import { uploadFile } from "./upload-file.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-upload-"));
const path = join(directory, "file");
let server: S3Server;
let s3: S3;
let restore: () => void;
beforeAll(() => {
  restore = withEnvironment(emulatedEnvironment);
});
afterAll(() => {
  restore();
  rmSync(directory, { recursive: true });
});
beforeEach(async () => {
  server = await startS3Server();
  s3 = await loadS3({ region: "eu-central-1", endpoint: server.endpoint, forcePathStyle: true });
  return async () => {
    s3.client.destroy();
    await server[Symbol.asyncDispose]();
  };
});

const partBytes = 1000;
const object = { Bucket: "kept", Key: "a/b" };
const bytesOf = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) % 256));
function upload(length: number, signal?: AbortSignal): Promise<void> {
  writeFileSync(path, bytesOf(length));
  return uploadFile(s3, object, path, { partBytes, signal });
}
const actions = (): readonly string[] => server.calls.map(({ action }) => action);

describe("an uploaded file", () => {
  it.each([0, 1, 1000, 1001, 7777])(
    "of %i bytes is what was sent, with a store's checksums and without",
    async (length) => {
      for (const knows of [true, false]) {
        server.knowsChecksums = knows;
        await upload(length);
        expect(server.objects.get("a/b")).toEqual(bytesOf(length));
        expect(server.openUploads.size).toBe(0);
        expect(actions().filter((action) => action === "UploadPart")).toHaveLength(
          length > partBytes ? Math.ceil(length / partBytes) : 0,
        );
        // What the store has is read only where it does not say the digest.
        expect(actions().includes("GetObject")).toBe(!knows);
        server.calls.length = 0;
      }
    },
  );

  it.each([
    ["a whole object", 500, true],
    ["a whole object, without checksums", 500, false],
    ["a part", 5000, true],
    ["a part, without checksums", 5000, false],
  ])("that the store damages is refused and removed: %s", async (_, length, knows) => {
    server.knowsChecksums = knows;
    server.damage = (_call, bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])]);
    await expect(upload(length)).rejects.toThrow("the store has other bytes than were sent");
    expect([...server.objects.keys(), ...server.openUploads.keys()]).toEqual([]);
  });

  it("that the store cuts is refused and removed", async () => {
    server.damage = (_, bytes) => bytes.subarray(0, -3);
    await expect(upload(500)).rejects.toThrow("the store has 497 bytes of 500");
    expect(server.objects.size).toBe(0);
  });

  it.each(["UploadPart", "CompleteMultipartUpload"])("leaves no parts where %s fails", async (failing) => {
    server.fault = ({ action }) =>
      action === failing ? { status: 403, code: "AccessDenied", message: "Access Denied" } : undefined;
    await expect(upload(5000)).rejects.toThrow("Access Denied");
    expect([...server.objects.keys(), ...server.openUploads.keys()]).toEqual([]);
    expect(actions()).toContain("AbortMultipartUpload");
  });

  it("comes through although each connection is cut once", async () => {
    const cut = new Set<string>();
    server.fault = ({ action }) => {
      if (cut.has(action)) return undefined;
      cut.add(action);
      return "cut";
    };
    await upload(5000);
    expect(server.objects.get("a/b")).toEqual(bytesOf(5000));
    expect(cut).toContain("UploadPart");
  });

  it("stops when it is told to, and leaves nothing", async () => {
    const stop = new AbortController();
    server.fault = ({ action }) => {
      if (action === "UploadPart") stop.abort();
      return undefined;
    };
    await expect(upload(5000, stop.signal)).rejects.toThrow();
    expect([...server.objects.keys(), ...server.openUploads.keys()]).toEqual([]);
  });
});
