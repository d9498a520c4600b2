/**
 * kubeadm's configuration of one host (kubeadm.k8s.io/v1beta4), which the spec determines alone. It has no secret: what
 * joins a host to a cluster has placeholders, which kubeadm accepts as values and no API server accepts as secrets.
 */
import { isIP } from "node:net";
import { stringify } from "yaml";
import type { Json } from "../base/json.ts";
import type { ClusterSpec, KubernetesSpec, MasterSpec } from "../spec/cluster-spec.ts";
import { clientUrl, hostPort } from "../units/addresses.ts";

/** Where kubeadm looks for what it needs to use an external etcd, and haplan's own file beside it. */
export const kubeadmPaths = {
  config: "/etc/kubernetes/kubeadm-config.yaml",
  etcdCa: "/etc/kubernetes/pki/etcd/ca.crt",
  etcdCertificate: "/etc/kubernetes/pki/apiserver-etcd-client.crt",
  etcdKey: "/etc/kubernetes/pki/apiserver-etcd-client.key",
} as const;

/** What a host needs to join a cluster. All of it is secret except for the hashes. */
export type JoinSecrets = {
  readonly token: string;
  readonly caCertHashes: readonly string[];
  /** Decrypts the certificates that `kubeadm init phase upload-certs` keeps in the cluster for other control planes. */
  readonly certificateKey: string;
};

/** What stands in the file until a join has its secrets. */
export const joinPlaceholders: JoinSecrets = {
  token: "aaaaaa.aaaaaaaaaaaaaaaa",
  caCertHashes: [`sha256:${"0".repeat(64)}`],
  certificateKey: "f".repeat(64),
};

/** Of a token: it is used at once, by one host. */
const tokenLifetime = "30m0s";

const apiVersion = "kubeadm.k8s.io/v1beta4";

type Document = { readonly [key: string]: Json };

/** `host:port` of the API servers at the load balancer. */
export function apiEndpoint({ loadBalancer }: ClusterSpec, { endpointPort }: KubernetesSpec): string {
  return hostPort(loadBalancer.address, endpointPort);
}

/** The text of the file for a host of the spec, a master or a worker. */
export function kubeadmConfig(
  spec: ClusterSpec,
  kubernetes: KubernetesSpec,
  name: string,
  secrets: JoinSecrets = joinPlaceholders,
): string {
  const master = spec.controlPlane.masters.find((each) => each.name === name);
  const worker = spec.workers.find((each) => each.name === name);
  if (master !== undefined) {
    return yamlDocuments([
      clusterConfiguration(spec, kubernetes),
      initConfiguration(kubernetes, master),
      joinConfiguration(spec, kubernetes, master, { secrets, controlPlane: true }),
    ]);
  }
  if (worker === undefined) throw new Error(`${name} is no host of the spec`);
  return yamlDocuments([joinConfiguration(spec, kubernetes, worker, { secrets, controlPlane: false })]);
}

/** What a control plane reads to prepare for the others: a token, and a key for the certificates that it uploads. */
export function uploadConfig(
  spec: ClusterSpec,
  kubernetes: KubernetesSpec,
  name: string,
  secrets: JoinSecrets,
): string {
  const master = spec.controlPlane.masters.find((each) => each.name === name);
  if (master === undefined) throw new Error(`${name} is no master of the spec`);
  const { token, certificateKey } = secrets;
  const bootstrapTokens = [{ token, ttl: tokenLifetime, description: "haplan" }];
  return yamlDocuments([
    clusterConfiguration(spec, kubernetes),
    { ...initConfiguration(kubernetes, master), bootstrapTokens, certificateKey },
  ]);
}

function clusterConfiguration(spec: ClusterSpec, kubernetes: KubernetesSpec): Document {
  const { podSubnet, serviceSubnet, dnsDomain } = kubernetes;
  return {
    apiVersion,
    kind: "ClusterConfiguration",
    kubernetesVersion: kubernetes.version,
    clusterName: kubernetes.clusterName,
    controlPlaneEndpoint: apiEndpoint(spec, kubernetes),
    networking: { ...(podSubnet === null ? {} : { podSubnet }), serviceSubnet, dnsDomain },
    etcd: { external: externalEtcd(spec) },
    apiServer: { certSANs: apiServerNames(spec, kubernetes) },
  };
}

function externalEtcd(spec: ClusterSpec): Document {
  const endpoints = spec.controlPlane.masters.map((master) => clientUrl(spec, master));
  if (!spec.controlPlane.tls.enabled) return { endpoints };
  const { etcdCa, etcdCertificate, etcdKey } = kubeadmPaths;
  return { endpoints, caFile: etcdCa, certFile: etcdCertificate, keyFile: etcdKey };
}

/** kubeadm itself adds the name and the address of each host, and those of the service `kubernetes`. */
export function apiServerNames({ loadBalancer }: ClusterSpec, { certSANs }: KubernetesSpec): readonly string[] {
  return [...new Set([loadBalancer.address, ...certSANs])];
}

function initConfiguration(kubernetes: KubernetesSpec, master: MasterSpec): Document {
  return {
    apiVersion,
    kind: "InitConfiguration",
    localAPIEndpoint: localEndpoint(kubernetes, master),
    nodeRegistration: nodeRegistration(kubernetes, master),
  };
}

type Joining = { readonly secrets: JoinSecrets; readonly controlPlane: boolean };

function joinConfiguration(
  spec: ClusterSpec,
  kubernetes: KubernetesSpec,
  host: Pick<MasterSpec, "name" | "address">,
  { secrets: { token, caCertHashes, certificateKey }, controlPlane }: Joining,
): Document {
  const localAPIEndpoint = localEndpoint(kubernetes, host);
  return {
    apiVersion,
    kind: "JoinConfiguration",
    discovery: { bootstrapToken: { apiServerEndpoint: apiEndpoint(spec, kubernetes), token, caCertHashes } },
    ...(controlPlane ? { controlPlane: { localAPIEndpoint, certificateKey } } : {}),
    nodeRegistration: nodeRegistration(kubernetes, host),
  };
}

/** kubeadm takes the address of the default route for a host whose address is a name. */
function localEndpoint({ apiServerPort }: KubernetesSpec, { address }: Pick<MasterSpec, "address">): Document {
  return { ...(isIP(address) === 0 ? {} : { advertiseAddress: address }), bindPort: apiServerPort };
}

/** The node has the host's name in the spec, and the address that members and load balancer use. */
function nodeRegistration(
  { criSocket }: KubernetesSpec,
  { name, address }: Pick<MasterSpec, "name" | "address">,
): Document {
  return {
    name,
    ...(criSocket === null ? {} : { criSocket }),
    ...(isIP(address) === 0 ? {} : { kubeletExtraArgs: [{ name: "node-ip", value: address }] }),
  };
}

function yamlDocuments(documents: readonly Document[]): string {
  const comment = "# Written by haplan; the next apply undoes changes made here.\n";
  return comment + documents.map((document) => stringify(document, { lineWidth: 0 })).join("---\n");
}
