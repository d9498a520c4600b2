/** A JSON value; attributes of a resource are made of these. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
