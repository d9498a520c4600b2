/** Names that haplan gives itself. */

/** The load balancer runs on a machine of its own, and this is its name. */
const loadBalancerName = "load-balancer";

/** Names that no master or worker may have, and what has them: a name is also that of a certificate. */
export const reservedNames: Readonly<Record<string, string>> = {
  [loadBalancerName]: "the load balancer",
  admin: "the certificate that haplan's users carry",
  ca: "the certificate authority",
  root: "the user of etcd that may do everything, which its certificate would log in",
};
