/** Names that haplan uses itself. */

/** The name of the load balancer's own machine. */
export const loadBalancerName = "load-balancer";

/** The name of the load balancer on the host of a master or worker. */
export function sharedBalancerName(host: string): string {
  return `${host}-lb`;
}

/** Names that no master or worker may have, and what uses them: a name is also the name of a certificate. */
export const reservedNames: Readonly<Record<string, string>> = {
  [loadBalancerName]: "the load balancer",
  admin: "haplan's client certificate",
  "kube-apiserver-etcd-client": "the certificate of the API servers",
  ca: "the certificate authority",
  root: "the etcd user with all permissions, which its certificate would authenticate as",
};
