/**
 * What became of a transaction whose COMMIT got no answer.
 */
import type { CommitStatus, Connection, Done, Request } from "../../../driver/Driver.js"
import { ownRequest } from "../ownRequest.js"

/**
 * Names the running transaction: its id, the process that runs it, and the timeline. After a failover another
 * transaction may bear the same id, on another timeline.
 */
export const transactionId = "SELECT pg_current_xact_id()::text || ':' || pg_backend_pid() || ':' || " +
  "left(pg_walfile_name(pg_current_wal_lsn()), 8) AS id"

const askStatus = `SELECT CASE
  WHEN pg_is_in_recovery() THEN 'unknown'
  WHEN left(pg_walfile_name(pg_current_wal_lsn()), 8) <> split_part($1::text, ':', 3) THEN 'unknown'
  ELSE pg_xact_status(split_part($1::text, ':', 1)::xid8)
END`

/** Only while it still runs that very transaction: a process of a pooler may serve another client by now. */
const endProcess = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = split_part($1::text, ':', 2)::integer
  AND backend_xid::text = mod(split_part($1::text, ':', 1)::numeric, 4294967296)::text`

/** How often, and how many milliseconds apart, a transaction that still runs is asked for again. */
const asks = 40
const pause = 50
/** So many times first, since the COMMIT may be about to be done; only then is its process ended. */
const patience = 10

const ask = (connection: Connection, text: string, id: string, done: Done<unknown>): void => {
  const request: Request = ownRequest(text, [id])
  connection.execute(request, (error, rows) => {
    if (error !== undefined) return done(error, undefined)
    // An answer in the mode `values`.
    done(undefined, (rows as ReadonlyArray<ReadonlyArray<unknown>>)[0]?.[0])
  })
}

/**
 * Asks on another connection. A transaction that still runs, because the server has not noticed yet that its client is
 * gone, is ended: it could only wait for its client, and its outcome would stay unknown.
 */
export const commitStatus = (connection: Connection, id: string, done: Done<CommitStatus>): void => {
  const round = (left: number): void =>
    ask(connection, askStatus, id, (error, status) => {
      if (error !== undefined) return done(error, "unknown")
      if (status === "committed") return done(undefined, "committed")
      if (status === "aborted") return done(undefined, "rolled back")
      if (status !== "in progress" || left === 0) return done(undefined, "unknown")
      const later = (): void => void setTimeout(() => round(left - 1), pause)
      if (left !== asks - patience) return later()
      ask(connection, endProcess, id, (failure) => failure === undefined ? later() : done(failure, "unknown"))
    })
  round(asks)
}
