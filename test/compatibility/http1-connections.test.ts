/**
 * HTTP/1.1 on the client port as curl, probes and proxies use it: many requests on one connection, sequential or
 * pipelined, bodies in chunks, half-closed connections. The same is sent to a real etcd if there is one; where its
 * responses differ, the row lists them.
 */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClusterProcesses, isEtcdInstalled, startCluster } from "./member-processes.ts";

const host = "127.77.42.5";
/** How long Node.js' HTTP server would keep a connection idle, and a second. */
const idleMs = 6_000;
const isLong = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;

const range = '{"key":"YQ=="}';
const get = (target: string, ...fields: string[]): string => head("GET", target, "Host: a", ...fields);
const post = (body: string, ...fields: string[]): string => head("POST", "/v3/kv/range", "Host: a", ...fields) + body;
const withLength = (body: string): string => post(body, `Content-Length: ${body.length}`);
const chunked = (...pieces: string[]): string =>
  pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join("");

function head(method: string, target: string, ...fields: string[]): string {
  return `${method} ${target} HTTP/1.1\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`;
}

/**
 * A pause, so that what was sent arrives by itself; a wait until every request has its response; the end of the
 * client's input.
 */
const pause = Symbol("pause");
const answer = Symbol("answer");
const endOfStream = Symbol("end");
type Words = readonly (string | typeof pause | typeof answer | typeof endOfStream)[];

/** The status of each response, and whether the connection accepted another request afterwards. */
type Outcome = string;
type Row = readonly [what: string, words: Words, outcome: Outcome, etcds?: Outcome];

const rows: readonly Row[] = [
  [
    "one request after the other",
    [get("/version"), answer, get("/health"), answer, withLength(range)],
    "200 200 200 open",
  ],
  [
    "requests ahead of the answers",
    [get("/version") + withLength(range) + get("/health") + get("/no")],
    "200 200 200 404 open",
  ],
  ["Connection: close", [get("/version", "Connection: close"), answer], "200 closed"],
  ["Connection: close with a body", [post(range, "Content-Length: 14", "Connection: close"), answer], "200 closed"],
  ["HTTP/1.0", ["GET /version HTTP/1.0\r\n\r\n", answer], "200 closed"],
  ["HTTP/1.0 that stays", ["GET /version HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"], "200 open"],
  ["HEAD of a check", [head("HEAD", "/health", "Host: a")], "405 open"],
  ["HEAD of the metrics", [head("HEAD", "/metrics", "Host: a")], "200 open"],
  [
    "a method that is not for a path",
    [get("/v3/kv/range") + head("PUT", "/version", "Host: a", "Content-Length: 0")],
    "405 405 open",
  ],
  ["a body that is not read", [`${head("POST", "/version", "Host: a", "Content-Length: 5")}hello`], "405 open"],
  ["a browser's preflight", [head("OPTIONS", "/v3/kv/range", "Host: a", "Origin: http://b")], "200 open"],
  ["a body in chunks", [post(chunked("{", range.slice(1), ""), "Transfer-Encoding: chunked")], "200 open"],
  [
    "chunks that come one by one",
    [
      post("", "Transfer-Encoding: chunked"),
      pause,
      chunked(range.slice(0, 5)),
      pause,
      chunked(range.slice(5)),
      pause,
      "0\r\n\r\n",
    ],
    "200 open",
  ],
  ["chunks with a trailer", [post(`${chunked(range)}0\r\nX-A: b\r\n\r\n`, "Transfer-Encoding: chunked")], "200 open"],
  [
    "a body that waits for 100 Continue",
    [post("", "Expect: 100-continue", "Content-Length: 14"), answer, range],
    "100 200 open",
  ],
  ["a request that is not JSON", [withLength("{") + get("/health")], "400 200 open"],
  ["a half-closed connection", [get("/version"), endOfStream], "200 closed"],
  ["a half-closed connection after a body", [withLength(range), answer, endOfStream], "200 closed"],
  ["a client that ends inside the body", [withLength(range).slice(0, -3), endOfStream], "400 closed"],
  ["a client that ends inside the head", ["GET /version HTT", pause, endOfStream], "400 closed", "closed"],
  ["a client that sends nothing", [endOfStream], "closed"],
  ["a target with its origin", [get("http://a/version?x=1")], "200 open"],
  ["a path that is not clean", [get("//version") + get("/x/../health")], "301 301 open"],
  ["an offer of h2c", [get("/version", "Connection: Upgrade", "Upgrade: h2c"), answer], "200 open"],
  ["no Host", [head("GET", "/version")], "400 closed"],
  ["two Hosts", [get("/version", "Host: b")], "400 open", "400 closed"],
  ["two lengths", [post(range, "Content-Length: 14", "Content-Length: 15")], "400 closed"],
  ["a length that is none", [post(range, "Content-Length: x")], "400 closed"],
  ["a chunk that is none", [post("zz\r\n", "Transfer-Encoding: chunked")], "400 closed"],
  ["an unknown expectation", [post(range, "Content-Length: 14", "Expect: cake")], "417 open", "417 closed"],
  // A proxy in front of the member may use the other of the two to find the end: this is how requests are smuggled.
  [
    "a length and chunks",
    [post(`${chunked(range)}0\r\n\r\n`, "Content-Length: 14", "Transfer-Encoding: chunked")],
    "400 closed",
    "200 open",
  ],
  ["lines that end in a bare LF", ["GET /version HTTP/1.1\nHost: a\n\n"], "400 closed", "200 open"],
  ["a method that does not exist", [head("BREW", "/version", "Host: a")], "400 closed", "405 open"],
  ["fields of 20 kB", [get("/version", `X-Long: ${"x".repeat(20_000)}`)], "431 closed", "200 open"],
];

/** Plays one side of a conversation; a last request shows whether the other side still reads. */
async function play(url: string, words: Words): Promise<Outcome> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  let text = "";
  socket.setEncoding("latin1").on("data", (piece) => {
    text += piece;
  });
  const closed = new Promise<void>((resolve) => {
    for (const event of ["end", "close", "error"]) socket.once(event, () => resolve());
  });
  let awaited = 0;
  for (const word of words) {
    if (word === pause) await new Promise((resolve) => setTimeout(resolve, 30));
    else if (word === answer) {
      awaited++;
      await until(() => statusesIn(text).length >= awaited);
    } else if (word === endOfStream) socket.end();
    else socket.write(word);
  }
  const end = closed.then(() => "closed" as const);
  const state = words.includes(endOfStream) ? await end : await Promise.race([end, more()]);
  socket.destroy();
  return [...statusesIn(text).slice(0, state === "open" ? -1 : undefined), state].join(" ");

  async function more(): Promise<"open"> {
    socket.write(get("/x/../last"));
    await until(() => text.includes("ocation: /last\r\n") || socket.destroyed);
    return "open";
  }
}

function statusesIn(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map(([, status]) => status!);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe.each((["agent", "etcd"] as const).filter((engine) => engine === "agent" || isEtcdInstalled()))(
  "HTTP/1.1 on the client port of %s",
  (engine) => {
    let cluster: ClusterProcesses;
    beforeAll(async () => {
      cluster = await startCluster(engine, host, { members: 1 });
    });
    afterAll(() => cluster?.stop());

    it("responds to every row of the table as listed", async () => {
      const outcomes = await Promise.all(
        rows.map(async ([what, words]) => `${what}: ${await play(cluster.urls[0]!, words)}`),
      );
      expect(outcomes).toEqual(
        rows.map(([what, , ours, etcds]) => `${what}: ${engine === "etcd" && etcds !== undefined ? etcds : ours}`),
      );
    });

    const long = isLong ? it : undefined;
    long?.("keeps a connection that is idle for longer than a probe's interval", async () => {
      const socket = connect({ host: host, port: Number(new URL(cluster.urls[0]!).port) });
      let text = "";
      socket.on("data", (piece) => {
        text += piece;
      });
      socket.write(get("/version"));
      await new Promise((resolve) => setTimeout(resolve, idleMs));
      socket.write(get("/health"));
      await until(() => statusesIn(text).length === 2);
      socket.destroy();
    });
  },
);
