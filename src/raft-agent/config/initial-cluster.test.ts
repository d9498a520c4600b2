/** Each with the result of etcd 3.6.14 for the same list. */
import { describe, expect, it } from "vitest";
import { createAgentConfig } from "./agent-config.ts";
import { assertInitialCluster, readInitialCluster } from "./initial-cluster.ts";
import { readSettings, SettingsError } from "./read-settings.ts";

const url = "http://10.0.0.1:2380";

function config(initialCluster: string | null, advertised: string = url): ReturnType<typeof createAgentConfig> {
  const argv = ["--name=s", `--initial-advertise-peer-urls=${advertised}`];
  if (initialCluster !== null) argv.push(`--initial-cluster=${initialCluster}`);
  return createAgentConfig(readSettings(argv, {}, () => ""));
}

describe("readInitialCluster", () => {
  it("collects the URLs of a repeated name", () => {
    expect(readInitialCluster("s=http://b:2380,s=http://a:2380")).toEqual([
      { name: "s", peerUrls: ["http://a:2380", "http://b:2380"] },
    ]);
  });

  it.each([
    `s=${url},`,
    `,s=${url}`,
    `,,s=${url},,`,
    `s= ${url}`,
    // Not so in etcd, where the name gets the space, and a path is rejected.
    ` s=${url} `,
    `s=${url}/`,
    "s=HTTP://10.0.0.1:02380",
  ])('R15: takes "%s" for one member', (text) => {
    expect(readInitialCluster(text)).toEqual([{ name: "s", peerUrls: [url] }]);
    expect(() => assertInitialCluster(config(text))).not.toThrow();
  });

  it.each([
    [`s=${url}, `, '--initial-cluster has "": expected name=url, for example m1=https://10.0.0.1:2380'],
    [`s=${url},\n`, 'has "": expected name=url'],
    ["s", 'has "s": expected name=url'],
    ["s=", 'has "s=": expected name=url'],
    [`=${url}`, "expected name=url"],
    ["s=unix://p.sock", '"s=unix://p.sock": expected name=url'],
    ["s=http:10.0.0.1:2380", "expected name=url"],
    ["s=http://10.0.0.1", "it has no port"],
    [`s=${url}/p`, "it must not have a path"],
    [`s=${url};t=x`, "expected name=url"],
  ])('R15: rejects "%s"', (text, message) => {
    expect(() => readInitialCluster(text)).toThrow(SettingsError);
    expect(() => readInitialCluster(text)).toThrow(message);
  });
});

describe("assertInitialCluster", () => {
  it("accepts the default, and URLs in another order", () => {
    expect(() => assertInitialCluster(config(null))).not.toThrow();
    const both = config("s=http://a:1,t=http://c:1,s=http://b:1", "http://b:1,http://a:1");
    expect(() => assertInitialCluster(both)).not.toThrow();
  });

  it.each([
    [
      `other=${url}`,
      'couldn\'t find local name "s" in the initial cluster configuration: --initial-cluster does not name',
    ],
    [",", 'couldn\'t find local name "s" in the initial cluster configuration: --initial-cluster is empty; add s=URL'],
    ["", "--initial-cluster is empty; add s=URL to it"],
    ["s=http://elsewhere:2380", "make them equal"],
    [
      `s=${url},t=${url}`,
      `initial cluster s=${url},t=${url} has duplicate url: --initial-cluster gives ${url} to "s" and to "t"`,
    ],
    [`s=${url},t=${url}/`, "has duplicate url"],
    [`s=${url},t=http://10.0.0.1:02380`, "has duplicate url"],
    [`s=${url},t=http://LOCALHOST:1,u=http://localhost:1`, 'http://localhost:1 to "t" and to "u"'],
    [`s=${url},s=${url}`, 'to "s" twice'],
    [`s=${url},t=http://a:1,t=http://a:1`, 'to "t" twice'],
  ])('R17: rejects "%s" at the first start', (text, message) => {
    expect(() => assertInitialCluster(config(text))).toThrow(SettingsError);
    expect(() => assertInitialCluster(config(text))).toThrow(message);
  });
});
