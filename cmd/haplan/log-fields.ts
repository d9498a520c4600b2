/** The fields of a line in a member's log. */

export type LogFields = { readonly [name: string]: unknown };

/** Empty for a line that is no JSON object. */
export function logFields(message: string): LogFields {
  if (!message.startsWith("{")) return {};
  try {
    return JSON.parse(message) as LogFields;
  } catch {
    return {};
  }
}
