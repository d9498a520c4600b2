/** A JSON value; attributes of resources consist of these. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
