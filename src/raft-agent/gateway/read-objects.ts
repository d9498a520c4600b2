/** The body of a request to the gateway: one JSON object for a call, any number of them for a stream. */
import type { IncomingMessage } from "node:http";
import { JsonSplitter } from "./json-splitter.ts";

/** Base64 adds a third to the gRPC limit: 1.5 MiB of request, and room for the names. */
export const bodyBytesMax: number = 4 * 1024 * 1024;

export type ObjectReader = {
  /** Called before each of the following; once false, the rest of the body is ignored. */
  wantsMore(): boolean;
  onObject(json: string): void;
  /** An object is larger than `bodyBytesMax`. */
  onTooLarge(): void;
  onEnd(): void;
};

/** An incomplete object is passed on at the end of the body, so that a parser can report the error in it. */
export function readObjects(request: IncomingMessage, reader: ObjectReader): void {
  const objects = new JsonSplitter();
  request.setEncoding("utf8");
  request.on("data", (chunk: string) => {
    if (!reader.wantsMore()) return;
    objects.add(chunk);
    for (let json = objects.next(); json !== null; json = objects.next()) {
      reader.onObject(json);
      if (!reader.wantsMore()) return;
    }
    if (objects.rest.length > bodyBytesMax) reader.onTooLarge();
  });
  request.on("end", () => {
    if (reader.wantsMore() && !/^[ \t\r\n]*$/.test(objects.rest)) reader.onObject(objects.rest);
    if (reader.wantsMore()) reader.onEnd();
  });
}
