/** Specs with Kubernetes, for tests. */
import { assert } from "../base/assert.ts";
import { specReader } from "../providers/spec-reader.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";

export type Addresses = "IPv4" | "IPv6" | "names";

const places: { readonly [Each in Addresses]: (host: string, number: number) => string } = {
  IPv4: (_, number) => `10.0.0.${number}`,
  IPv6: (_, number) => `fd00:1::${number}`,
  names: (host) => `${host}.example.com`,
};
const more: { readonly [Each in Addresses]: string } = {
  IPv4: "podSubnet: 10.244.0.0/16, certSANs: [api.example.com], criSocket: unix:///run/containerd/containerd.sock",
  IPv6: "podSubnet: 'fd00:10::/56', serviceSubnet: 'fd00:96::/112'",
  names: "podSubnet: '10.244.0.0/16,fd00:10::/56', serviceSubnet: '10.96.0.0/12,fd00:96::/112', endpointPort: 8443",
};

/** A valid cluster of that many masters and a worker, on hosts with such addresses. */
export function kubernetesCluster(masters: number, addresses: Addresses, tls = true): ClusterSpec {
  const place = places[addresses];
  const host = (name: string, number: number): string => `      - { name: ${name}, address: "${place(name, number)}" }`;
  const text = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: ssh }
  controlPlane:
    tls: { enabled: ${tls} }
    masters:
${Array.from({ length: masters }, (_, at) => host(`m${at + 1}`, at + 1)).join("\n")}
  loadBalancer: { address: "${place("lb", 100)}" }
  workers:
${host("w1", 11)}
  kubernetes: { version: 1.35.4, ${more[addresses]} }
`;
  const { spec, diagnostics } = specReader.parse("f", text);
  assert(spec !== null, diagnostics.map(({ summary }) => summary).join());
  return spec;
}
