/** The server of the page over real sockets: what it answers, to which requests, and with which headers. */
import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EventStream } from "./event-stream.ts";
import { readPageFiles } from "./page-files.ts";
import { openPageServer, type PageServer } from "./page-server.ts";

let server: PageServer;
let stream: EventStream;
let made = 0;
beforeEach(async () => {
  stream = new EventStream(() => [["hello", { cluster: "demo" }]]);
  const documents = new Map<string, () => object>([
    ["status.json", () => ({ made: (made += 1) })],
    [
      "broken.json",
      () => {
        throw new Error("no state");
      },
    ],
  ]);
  server = await openPageServer({ port: 0, files: readPageFiles(), documents, stream });
});
afterEach(() => server.close());

type Answer = { readonly status: number; readonly headers: Record<string, unknown>; readonly body: string };

function ask(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, server.url), { agent: false, ...options }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    sent.on("error", reject).end();
  });
}

describe("the server of the page", () => {
  it("listens on loopback, with a new token of 192 bits each time", async () => {
    const other = await openPageServer({ port: 0, files: new Map(), documents: new Map(), stream });
    await other.close();
    const { hostname, pathname } = new URL(server.url);
    expect(hostname).toBe("127.0.0.1");
    expect(pathname).toMatch(/^\/[\w-]{32}\/$/);
    expect(new URL(other.url).pathname).not.toBe(pathname);
  });

  it("serves the page and every file that it names, with a policy that allows its own server alone", async () => {
    const page = await ask("");
    expect(page).toMatchObject({ status: 200, headers: { "content-type": "text/html; charset=utf-8" } });
    const policy = String(page.headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(page.headers).toMatchObject({
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin",
      "cache-control": "no-store",
    });
    const named = [...page.body.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, name]) => name!);
    expect(named).toEqual(expect.arrayContaining(["page.css", "page.js", "icon.svg"]));
    for (const name of named) expect({ name, ...(await ask(name)) }).toMatchObject({ name, status: 200 });
  });

  it("has no inline script or style, and no address of another server", () => {
    for (const [name, { body }] of readPageFiles()) {
      const text = String(body);
      expect(text, name).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+="|\sstyle="/);
      expect(text.replaceAll("http://www.w3.org/2000/svg", ""), name).not.toMatch(/https?:\/\//);
    }
  });

  it.each([
    ["no token", "/", {}],
    ["a wrong token", "/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/status.json", {}],
    ["a foreign Host", "status.json", { headers: { host: "evil.example" } }],
    ["a foreign Origin", "status.json", { headers: { origin: "https://evil.example" } }],
  ])("rejects %s with 403, and makes nothing", async (_, path, options) => {
    const before = made;
    expect(await ask(path, options)).toMatchObject({ status: 403, body: expect.not.stringContaining("demo") });
    expect(made).toBe(before);
  });

  it("rejects what could change something", async () => {
    expect((await ask("status.json", { method: "POST" })).status).toBe(405);
    expect((await ask("status.json", { method: "DELETE" })).status).toBe(405);
  });

  it.each(["nothing", "../package.json", "..%2fpackage.json", "%00", "__proto__"])("has no page %s", async (path) => {
    expect([403, 404]).toContain((await ask(path)).status);
  });

  it("answers a document that fails with 500 and the reason", async () => {
    expect(await ask("broken.json")).toMatchObject({ status: 500, body: "no state\n" });
    expect(await ask("status.json")).toMatchObject({ status: 200, body: `{"made":${made}}` });
  });

  it("streams the present state, then what comes, and ends with the server", async () => {
    const answer = ask("events");
    while (stream.readers === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    stream.send("status", { text: "two\nlines" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const closed = server.close();
    await expect(answer).rejects.toThrow();
    await closed;
    expect(stream.readers).toBe(0);
  });
});
