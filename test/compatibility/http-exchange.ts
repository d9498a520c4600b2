/** One HTTP request as bytes, and the parts of its response that must be equal. */
import { request as httpRequest, type IncomingMessage } from "node:http";

export type HttpRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Latin-1, so that bytes that are not UTF-8 can be sent too. */
  readonly body: string;
  /** Responses arrive one by one, and the connection stays open. */
  readonly isStream: boolean;
};

/** `body` must be ASCII. */
export function post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): HttpRequest {
  return { method: "POST", path, headers, body, isStream: /\/(watch|keepalive)$/.test(path) };
}

export function get(path: string, method = "GET"): HttpRequest {
  return { method, path, headers: {}, body: "", isStream: false };
}

/** How long a stream has to be silent to count as complete. */
const silenceMs = 300;
const silentMs = 1_000;
const answerMs = 10_000;

export type Exchange = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
};

const comparedHeaders = [
  "content-type",
  "content-encoding",
  "location",
  "grpc-metadata-content-type",
  "x-content-type-options",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
];

/** A stream that is silent for a while counts as a response: status 0. */
export function exchange(url: string, { method, path, headers, body, isStream }: HttpRequest): Promise<Exchange> {
  const { hostname, port } = new URL(url);
  const bytes = Buffer.from(body, "latin1");
  const framed = { ...headers, "Content-Length": bytes.length };
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ hostname, port, path, method, headers: framed });
    const timer = setTimeout(
      () => {
        if (isStream) resolve({ status: 0, headers: {}, body: "" });
        asked.destroy(new Error("no answer"));
      },
      isStream ? silentMs : answerMs,
    );
    asked.once("error", reject).once("response", (response: IncomingMessage) => {
      clearTimeout(timer);
      resolve(collect(response, isStream ? silenceMs : answerMs));
    });
    asked.end(bytes);
  });
}

function collect(response: IncomingMessage, quietMs: number): Promise<Exchange> {
  const headers = Object.fromEntries(comparedHeaders.map((name) => [name, response.headers[name]?.toString()]));
  return new Promise((resolve) => {
    let body = "";
    const timer = setTimeout(() => response.destroy(), quietMs);
    response.setEncoding("utf8").on("data", (chunk: string) => {
      body += chunk;
      timer.refresh();
    });
    response.once("close", () => {
      clearTimeout(timer);
      resolve({ status: response.statusCode ?? 0, headers, body });
    });
  });
}

/** Why a body is not a message, in the words of Go's JSON and in ours. */
const noMessage =
  /^(json: |invalid character|unexpected E|unexpected end|unknown value|illegal base64|the request is not a valid )/;
/** etcd 3.4's gateway responds 412 where later ones respond 400. */
const preconditionFailed = 412;
const whoAndWhen = new Set(["cluster_id", "member_id", "raft_term"]);
/** Beyond those that requests name. */
const leaseOfAServer = /^\d{15,}$/;

/** Without what differs by nature, and without what docs/etcd-differences.md lists for the gateway. */
export function comparableExchange({ path }: HttpRequest, { status, headers, body }: Exchange): unknown {
  if (status === 301) return { status, location: headers["location"] };
  const isJson = headers["content-type"] === "application/json";
  const lines = body.split("\n").filter((line) => line !== "");
  return {
    status: status === preconditionFailed ? 400 : status,
    headers,
    body: isJson ? lines.map((line) => comparableJson(JSON.parse(line), path.includes("/alarm"))) : body,
  };
}

function comparableJson(value: unknown, withoutHeader: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => comparableJson(item, withoutHeader));
  if (typeof value !== "object" || value === null) return value;
  const shown = Object.entries(value).filter(
    ([name]) => !whoAndWhen.has(name) && name !== "details" && !(withoutHeader && name === "header"),
  );
  return Object.fromEntries(
    shown.map(([name, inner]) => {
      if ((name === "ID" || name === "lease") && leaseOfAServer.test(String(inner))) return [name, "<an id>"];
      if (name === "TTL" && "grantedTTL" in value) return [name, "<what remains>"];
      if ((name === "error" || name === "message") && noMessage.test(String(inner))) return [name, "<no message>"];
      return [name, comparableJson(inner, withoutHeader)];
    }),
  );
}
