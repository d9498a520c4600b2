/**
 * Where a real etcd serves HTTP. With gRPC alone at the port for clients, an etcd that stops announces it on each connection and
 * answers what it has accepted (etcd's `stopServers`); with TLS and both at one port it cuts the calls that are under way.
 */
import { takesHttpPort } from "../../spec/etcd-http-port.ts";
import type { Planning } from "../planning.ts";

export function checkHttpPort(planning: Planning): void {
  const { controlPlane } = planning.spec;
  if (controlPlane.engine !== "etcd") return;
  if (planning.view.phase === "none") warnAboutCutCalls(planning);
  else refuseOtherPort(planning);
}

/** The load balancer checks all members at one port: those that serve HTTP at another one would be taken for dead. */
function refuseOtherPort({ spec, view, builder }: Planning): void {
  const wanted = spec.controlPlane.etcd?.httpPort ?? null;
  const ports = [...view.resources.values()].flatMap(({ type, attributes }) =>
    type === "haplan_agent" && attributes["engine"] === "etcd" ? [attributes["httpPort"] ?? null] : [],
  );
  const other = ports.find((port) => port !== wanted);
  if (other === undefined) return;
  builder.refuse(
    "plan/http-port-changed",
    `etcd's httpPort cannot change while the cluster runs: it is ${other ?? "not set"}`,
    `The load balancer checks the health of all members at one port. ${other === null ? "Remove httpPort" : `Write httpPort: ${other}`}. To have another one, restore a backup into a new cluster.`,
  );
}

/** It cannot be chosen later. */
function warnAboutCutCalls({ spec, builder }: Planning): void {
  const { etcd, tls, masters } = spec.controlPlane;
  const adopts = masters.some(({ adoptedAt }) => adoptedAt !== undefined);
  if (adopts || !tls.enabled || etcd === undefined || etcd.httpPort !== undefined) return;
  if (!takesHttpPort(etcd.version)) return;
  builder.warn(
    "plan/etcd-cuts-calls",
    "A write may fail whenever a member of etcd restarts",
    "With TLS, an etcd that serves gRPC and HTTP at one port cuts the calls that it has accepted when it stops. Write httpPort: 2383 under controlPlane.etcd now: it cannot change while the cluster runs.",
  );
}
