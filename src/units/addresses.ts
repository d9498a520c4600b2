/** Addresses and URLs that follow from the spec: the one place that derives how to reach a master. */
import type { ClusterSpec, MasterSpec } from "../spec/cluster-spec.ts";

const dottedQuad = /^\d{1,3}(\.\d{1,3}){3}$/;

/** `host:port`, with IPv6 addresses in brackets. */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The two parts of a `host:port`; IPv6 addresses without brackets. */
export function splitHostPort(text: string): { readonly address: string; readonly port: number } {
  const colon = text.lastIndexOf(":");
  return { address: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}

/** Listeners need an IP address; for a host name they listen on all addresses. */
export function bindAddress(host: string): string {
  return dottedQuad.test(host) || host.includes(":") ? host : "0.0.0.0";
}

function scheme(spec: ClusterSpec): "http" | "https" {
  return spec.controlPlane.tls.enabled ? "https" : "http";
}

export function clientUrl(spec: ClusterSpec, master: Pick<MasterSpec, "address" | "adoptedAt">): string {
  if (master.adoptedAt !== undefined) return master.adoptedAt.replace(/\/$/, "");
  return `${scheme(spec)}://${hostPort(master.address, spec.controlPlane.clientPort)}`;
}

/** `host:port` for a master's clients, as a load balancer connects to it. */
export function clientHostPort(spec: ClusterSpec, master: Pick<MasterSpec, "address" | "adoptedAt">): string {
  return hostPort(master.address, clientPortOf(spec, master));
}

export function clientPortOf(spec: ClusterSpec, master: Pick<MasterSpec, "adoptedAt">): number {
  if (master.adoptedAt === undefined) return spec.controlPlane.clientPort;
  const url = new URL(master.adoptedAt);
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}

/** Not for an adopted master: only its members know it. */
export function peerUrl(spec: ClusterSpec, master: Pick<MasterSpec, "address">): string {
  return `${scheme(spec)}://${hostPort(master.address, spec.controlPlane.peerPort)}`;
}

/** The endpoint for clients and workers: the load balancer's first port. */
export function clusterEndpoint(spec: ClusterSpec): string {
  const port = spec.loadBalancer.ports[0] ?? spec.controlPlane.clientPort;
  return `${scheme(spec)}://${hostPort(spec.loadBalancer.address, port)}`;
}
