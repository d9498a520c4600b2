import { describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

const parseSpec = specReader.parse;

const files = "caFile: ca.crt, certFile: c.crt, keyFile: c.key";

function specWith(tls: string, more: { readonly enabled?: boolean; readonly endpoints?: string } = {}): string {
  const { enabled = true, endpoints = "https://127.0.2.1:2379, https://127.0.2.2:2379" } = more;
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  controlPlane:
    tls: { enabled: ${enabled} }
    adopt: { endpoints: [${endpoints}]${tls === "" ? "" : `, tls: { ${tls} }`} }
    masters:
      - { name: m1, address: 127.0.2.1 }
      - { name: m2, address: 127.0.2.2 }
      - { name: m3, address: 127.0.2.3 }
`;
}

const codes = (text: string): readonly string[] => parseSpec("f", text).diagnostics.map(({ code }) => code);

describe("members with TLS that are to be adopted", () => {
  it("bring the files that the spec names, with the new master's address", () => {
    const ready = "certificates: [{ name: m3, certFile: m3.crt, keyFile: m3.key }]";
    const { spec, diagnostics } = parseSpec("f", specWith(`${files}, ${ready}`));
    expect(diagnostics).toEqual([]);
    const certificate = { name: "m3", address: "127.0.2.3", certFile: "m3.crt", keyFile: "m3.key" };
    expect(spec?.controlPlane.tls).toEqual({
      enabled: true,
      adopted: {
        caFile: "ca.crt",
        certFile: "c.crt",
        keyFile: "c.key",
        caKeyFile: null,
        peerCaFile: null,
        peerCaKeyFile: null,
        certificates: [{ ...certificate, peerCertFile: null, peerKeyFile: null }],
      },
    });
    expect(codes(specWith(`${files}, caKeyFile: ca.key, peerCaFile: p.crt, peerCaKeyFile: p.key`))).toEqual([]);
  });

  it("are found by their address in IPv6, however it is written", () => {
    const endpoints = '"https://[fd00:0::1]:2379", "https://[FD00::2]:2379"';
    const text = specWith(`${files}, caKeyFile: ca.key`, { endpoints }).replaceAll("127.0.2.", "fd00::");
    const onHosts = text.replace(
      "  controlPlane:",
      "  provider: { type: ssh }\n  loadBalancer: { address: 'fd00::100' }\n  controlPlane:",
    );
    const { spec, diagnostics } = parseSpec("f", onHosts);
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    const adopted = spec?.controlPlane.masters.map(({ address, adoptedAt }) => [address, adoptedAt]);
    expect(adopted).toEqual([
      ["fd00::1", "https://[fd00:0::1]:2379"],
      ["fd00::2", "https://[FD00::2]:2379"],
      ["fd00::3", undefined],
    ]);
  });

  it.each<[string, string, readonly string[]]>([
    ["without any file", specWith(""), ["spec/adopt-tls"]],
    [
      "while TLS is off",
      specWith(`${files}, caKeyFile: ca.key`, { enabled: false }),
      ["spec/adopt-tls", "spec/adopt-tls", "spec/adopt-tls"],
    ],
    [
      "beside one without",
      specWith(`${files}, caKeyFile: ca.key`, { endpoints: "https://127.0.2.1:2379, http://127.0.2.2:2379" }),
      ["spec/adopt-tls"],
    ],
    ["with nothing for the third", specWith(files), ["spec/adopt-certificate"]],
    [
      "with nothing for the third's peers",
      specWith(`${files}, caKeyFile: k, peerCaFile: p`),
      ["spec/adopt-certificate"],
    ],
    ["with a key of no authority", specWith(`${files}, caKeyFile: k, peerCaKeyFile: p`), ["spec/adopt-certificate"]],
    [
      "with half of a peer's pair",
      specWith(`${files}, certificates: [{ name: m3, certFile: a, keyFile: b, peerCertFile: c }]`),
      ["spec/adopt-certificate"],
    ],
    [
      "with a certificate for one of their own",
      specWith(`${files}, caKeyFile: k, certificates: [{ name: m1, certFile: a, keyFile: b }]`),
      ["spec/adopt-certificate"],
    ],
  ])("are refused %s", (_, text, expected) => {
    expect(codes(text)).toEqual(expected);
  });
});
