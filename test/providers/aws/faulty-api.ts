/** EC2's API with scripted answers, played by nock: each request is checked, and answered with what AWS answers. */
import nock from "nock";

export const fakeEndpoint = "http://ec2.aws.example";

export type Request = Readonly<Record<string, string>>;
export type Reply = { readonly status?: number; readonly body: string } | "cutOff";

/** Answers calls by their names, each time with the next of its replies; the last one stays. */
export class FaultyApi {
  readonly requests: Request[] = [];
  readonly #replies: Map<string, Reply[]> = new Map();

  constructor() {
    // Another test of this process may have restored Node's own HTTP.
    if (!nock.isActive()) nock.activate();
    nock(fakeEndpoint)
      .persist()
      .post("/")
      .reply((_, body, callback) => {
        const request = Object.fromEntries(new URLSearchParams(String(body)));
        this.requests.push(request);
        const replies = this.#replies.get(request["Action"] ?? "") ?? [];
        const reply = replies.length > 1 ? replies.shift() : replies[0];
        if (reply === undefined) return callback(null, [500, `no reply for ${request["Action"]}`]);
        if (reply === "cutOff")
          return callback(Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }), [500, ""]);
        return callback(null, [
          reply.status ?? 200,
          reply.body,
          { "content-type": "text/xml", "x-amzn-requestid": "4f1c-9a" },
        ]);
      });
  }

  on(action: string, ...replies: readonly Reply[]): this {
    this.#replies.set(action, [...replies]);
    return this;
  }

  /** The requests of one call. */
  of(action: string): readonly Request[] {
    return this.requests.filter((request) => request["Action"] === action);
  }

  close(): void {
    nock.cleanAll();
    nock.restore();
  }
}

/** As EC2 answers a call that fails. */
export function failure(code: string, message: string, status = 400): Reply {
  const body = `<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>4f1c-9a</RequestID></Response>`;
  return { status, body };
}

/** As EC2 answers a call. */
export function answer(action: string, content: string): Reply {
  return {
    body: `<?xml version="1.0" encoding="UTF-8"?>
<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>4f1c-9a</requestId>${content}</${action}Response>`,
  };
}

/** An instance in an answer. */
export function instanceXml(id: string, state: string, tags: Readonly<Record<string, string>>): string {
  const items = Object.entries(tags).map(([key, value]) => `<item><key>${key}</key><value>${value}</value></item>`);
  return `<item><instanceId>${id}</instanceId><imageId>ami-0a1b2c3d</imageId><instanceState><code>16</code><name>${state}</name></instanceState>
<privateIpAddress>10.0.1.10</privateIpAddress><subnetId>subnet-0a</subnetId><instanceType>m7i.large</instanceType>
<placement><availabilityZone>eu-central-1a</availabilityZone></placement><tagSet>${items.join("")}</tagSet></item>`;
}

export function instances(...items: readonly string[]): Reply {
  const reservation = `<item><reservationId>r-1</reservationId><instancesSet>${items.join("")}</instancesSet></item>`;
  return answer("DescribeInstances", `<reservationSet>${items.length === 0 ? "" : reservation}</reservationSet>`);
}

export function run(item: string): Reply {
  return answer("RunInstances", `<reservationId>r-1</reservationId><instancesSet>${item}</instancesSet>`);
}
