import * as Effect from "effect/Effect"
import { describePgBouncer, pgBouncer, type PoolMode } from "../kit/pgbouncer.js"
import { freshDatabase } from "../kit/postgres.js"
import { conformance } from "../suites/conformance.js"
import type { Target } from "../suites/target.js"
import { pg } from "./pgTarget.js"

/** Clients of ours that the pooler knows for a database, instead of connections of the server, which it keeps. */
const clients = (mode: PoolMode): Target["connections"] => ({ url }) =>
  Effect.flatMap(pgBouncer(mode), ({ admin }) =>
    Effect.map(
      admin("SHOW CLIENTS"),
      (rows) => rows.filter(({ database }) => database === new URL(String(url)).pathname.slice(1)).length
    ))

const through = (mode: PoolMode, query: string): Target["fresh"] =>
  Effect.flatMap(
    pgBouncer(mode),
    (pooler) => Effect.map(freshDatabase, ({ url }) => ({ url: pooler.through(url) + query }))
  )

/** Without any option, as a URL is handed out. */
const session: Target = {
  ...pg,
  name: "postgresql through pgbouncer, session mode",
  describe: describePgBouncer,
  fresh: through("session", ""),
  connections: clients("session")
}

const transaction: Target = {
  ...pg,
  name: "postgresql through pgbouncer, transaction mode",
  describe: describePgBouncer,
  fresh: through("transaction", "?pgbouncer=true"),
  sql: { ...pg.sql, sessionless: true },
  connections: clients("transaction")
}

conformance(session, 500)
conformance(transaction, 500)
