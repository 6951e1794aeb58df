/** Raw `pg`: its Pool, and texts that the server parses at each call. What everything else is measured against. */
import { openPg } from "./pg/openPg.js"

export const open = openPg({ named: false })
