/** The body of a request to the gateway: one JSON object for a call, any number of them for a stream. */
import type { IncomingMessage } from "node:http";
import { ObjectCutter } from "./object-cutter.ts";

/** Base64 makes a third more of what gRPC would take: 1.5 MiB of request, and room for the names. */
export const bodyBytesMax: number = 4 * 1024 * 1024;

export type ObjectReader = {
  /** Asked before each of the following; once false, the rest of the body is not looked at. */
  wantsMore(): boolean;
  onObject(json: string): void;
  /** An object has more than `BODY_BYTES_MAX` bytes. */
  onTooLarge(): void;
  onEnd(): void;
};

/** What is no object is handed on at the end of the body, for a parser to say what is wrong with it. */
export function readObjects(request: IncomingMessage, reader: ObjectReader): void {
  const objects = new ObjectCutter();
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
