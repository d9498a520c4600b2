/** A bucket behind HTTP, in this process: whole objects, uploads in parts, lists and checksums, as S3 does them; and faults. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type S3Call = {
  /** Such as `PutObject`. */
  readonly action: string;
  readonly key: string;
};

/** `cut`: the connection ends without an answer. `lost`: it ends once the store has done what it was asked. */
export type S3Fault = { readonly status: number; readonly code: string; readonly message: string } | "cut" | "lost";

export type S3Server = {
  readonly endpoint: string;
  readonly bucket: string;
  readonly objects: Map<string, Buffer>;
  readonly calls: S3Call[];
  /** Parts that belong to no object yet. */
  readonly openUploads: ReadonlyMap<string, ReadonlyMap<number, Buffer>>;
  /** What happens to a call instead. */
  fault: (call: S3Call) => S3Fault | undefined;
  /** Changes what is stored of an object or a part. */
  damage: (call: S3Call, bytes: Buffer) => Buffer;
  /** Bytes after which the connection of a download ends; null: at its end. */
  cutDownloadsAfter: number | null;
  /** Whether it knows checksums: compares and tells them. */
  knowsChecksums: boolean;
  /** Keys of one page of a list. */
  pageKeys: number;
  /** As it was at the start. */
  reset(): void;
  [Symbol.asyncDispose](): Promise<void>;
};

function unspoiled(): Pick<S3Server, "fault" | "damage" | "cutDownloadsAfter" | "knowsChecksums" | "pageKeys"> {
  return {
    fault: () => undefined,
    damage: (_, bytes) => bytes,
    cutDownloadsAfter: null,
    knowsChecksums: true,
    pageKeys: 1000,
  };
}

type Parsed = S3Call & { readonly bucket: string; readonly query: URLSearchParams };

export async function startS3Server(bucket = "kept"): Promise<S3Server> {
  const objects = new Map<string, Buffer>();
  const digests = new Map<string, string>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const listener = createServer((request, response) => {
    void serve(request, response).catch(() => request.destroy());
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const server: S3Server = {
    endpoint: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    bucket,
    objects,
    calls: [],
    openUploads: uploads,
    ...unspoiled(),
    reset: () => {
      for (const each of [objects, digests, uploads]) each.clear();
      server.calls.length = 0;
      Object.assign(server, unspoiled());
    },
    [Symbol.asyncDispose]: async () => {
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const call = parse(request);
    server.calls.push({ action: call.action, key: call.key });
    const fault = server.fault(call);
    if (fault === "cut") {
      request.socket.destroy();
      return;
    }
    if (fault !== undefined && fault !== "lost") return refuse(response, fault);
    if (call.bucket !== bucket)
      return refuse(response, { status: 404, code: "NoSuchBucket", message: "The specified bucket does not exist" });
    const answer = act(call, body, request);
    if (fault === "lost") {
      request.socket.destroy();
      return;
    }
    if ("code" in answer) return refuse(response, answer);
    await send(request, response, answer);
  }

  type Answer = { readonly headers: Record<string, string>; readonly body: string | Buffer; readonly status?: number };
  const empty = (headers: Record<string, string> = {}): Answer => ({ headers, body: "" });

  function act(call: Parsed, body: Buffer, request: IncomingMessage): Answer | Exclude<S3Fault, string> {
    const { key, query } = call;
    const checksum = String(request.headers["x-amz-checksum-sha256"] ?? "");
    switch (call.action) {
      case "PutObject":
      case "UploadPart": {
        if (server.knowsChecksums && checksum !== "" && checksum !== sha256(body))
          return { status: 400, code: "BadDigest", message: "The SHA256 you specified did not match" };
        const stored = server.damage(call, body);
        if (call.action === "PutObject") {
          objects.set(key, stored);
          digests.set(key, sha256(stored));
          return empty({ etag: etag(stored) });
        }
        const parts = uploads.get(query.get("uploadId") ?? "");
        if (parts === undefined) return { status: 404, code: "NoSuchUpload", message: "No such upload" };
        parts.set(Number(query.get("partNumber")), stored);
        return empty({ etag: etag(stored) });
      }
      case "CreateMultipartUpload": {
        const id = `upload-${uploads.size + 1}-${key.length}`;
        uploads.set(id, new Map());
        const xml = `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`;
        return { headers: {}, body: xml };
      }
      case "CompleteMultipartUpload": {
        const id = query.get("uploadId") ?? "";
        const parts = [...(uploads.get(id) ?? [])].sort(([a], [b]) => a - b).map(([, part]) => part);
        uploads.delete(id);
        objects.set(key, Buffer.concat(parts));
        const composite = Buffer.concat(parts.map((part) => createHash("sha256").update(part).digest()));
        digests.set(key, `${sha256(composite)}-${parts.length}`);
        return { headers: {}, body: "<CompleteMultipartUploadResult/>" };
      }
      case "AbortMultipartUpload":
        uploads.delete(query.get("uploadId") ?? "");
        return { ...empty(), status: 204 };
      case "DeleteObject":
        objects.delete(key);
        return { ...empty(), status: 204 };
      case "ListObjectsV2":
        return { headers: {}, body: list(query) };
      default: {
        const found = objects.get(key);
        if (found === undefined)
          return { status: 404, code: "NoSuchKey", message: "The specified key does not exist." };
        const told = request.headers["x-amz-checksum-mode"] === "ENABLED" && server.knowsChecksums;
        const digest = told ? { "x-amz-checksum-sha256": digests.get(key) ?? sha256(found) } : {};
        return { headers: { etag: etag(found), "content-length": String(found.length), ...digest }, body: found };
      }
    }
  }

  function list(query: URLSearchParams): string {
    const prefix = query.get("prefix") ?? "";
    const from = query.get("continuation-token") ?? "";
    const keys = [...objects.keys()].sort().filter((key) => key.startsWith(prefix) && key > from);
    const page = keys.slice(0, server.pageKeys).filter((key) => !key.slice(prefix.length).includes("/"));
    const last = keys[server.pageKeys - 1];
    const isCut = keys.length > server.pageKeys;
    const contents = page.map(
      (key) =>
        `<Contents><Key>${key}</Key><Size>${objects.get(key)!.length}</Size><LastModified>2026-11-30T00:00:00.000Z</LastModified></Contents>`,
    );
    const next = isCut ? `<NextContinuationToken>${last}</NextContinuationToken>` : "";
    return `<ListBucketResult><IsTruncated>${isCut}</IsTruncated>${next}${contents.join("")}</ListBucketResult>`;
  }

  async function send(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
    const { headers, body, status = 200 } = answer;
    response.writeHead(status, { ...headers, "x-amz-request-id": "REQ1" });
    const isDownload = request.method === "GET" && Buffer.isBuffer(body);
    if (!isDownload || server.cutDownloadsAfter === null || body.length <= server.cutDownloadsAfter) {
      response.end(request.method === "HEAD" ? undefined : body);
      return;
    }
    await new Promise((resolve) => response.write(body.subarray(0, server.cutDownloadsAfter!), resolve));
    request.socket.destroy();
  }
  return server;
}

function parse(request: IncomingMessage): Parsed {
  const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://store");
  const [bucket = "", ...rest] = decodeURIComponent(pathname.slice(1)).split("/");
  const key = rest.join("/");
  return { bucket, key, query, action: actionOf(request.method ?? "", key, query) };
}

function actionOf(method: string, key: string, query: URLSearchParams): string {
  const hasUpload = query.has("uploadId");
  switch (method) {
    case "PUT":
      return hasUpload ? "UploadPart" : "PutObject";
    case "POST":
      return hasUpload ? "CompleteMultipartUpload" : "CreateMultipartUpload";
    case "DELETE":
      return hasUpload ? "AbortMultipartUpload" : "DeleteObject";
    case "HEAD":
      return "HeadObject";
    default:
      return key === "" ? "ListObjectsV2" : "GetObject";
  }
}

function refuse(response: ServerResponse, { status, code, message }: Exclude<S3Fault, string>): void {
  response.writeHead(status, { "content-type": "application/xml", "x-amz-request-id": "REQ1" });
  response.end(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("base64");
const etag = (bytes: Uint8Array): string => `"${createHash("md5").update(bytes).digest("hex")}"`;
