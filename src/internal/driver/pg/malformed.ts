/**
 * Bytes that are no message of the protocol.
 */

/** Says what the server sent, never what stood in it. */
export class Malformed extends Error {
  constructor(what: string) {
    super(`the server sent ${what}: check that the address is that of a PostgreSQL server, and what lies in between`)
  }
}
