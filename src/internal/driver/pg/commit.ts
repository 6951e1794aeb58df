/**
 * What became of a transaction whose COMMIT got no answer.
 */
import type { CommitStatus, Connection, Done, Request } from "../../../driver/Driver.js"
import { ownRequest } from "../ownRequest.js"

/**
 * What a server says of itself, one value after the other: the timeline, the system, when it was started, where its last recovery
 * has ended, and when its statistics were lost, which a crash does and a restart does not. After a recovery another transaction may
 * bear the same id as one whose records did not survive; by these it is seen what has happened in between.
 */
const here = `('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
  (SELECT system_identifier FROM pg_control_system()), extract(epoch FROM pg_postmaster_start_time()),
  coalesce((pg_last_wal_replay_lsn() - '0/0')::text, ''),
  (SELECT coalesce(extract(epoch FROM stats_reset)::text, '') FROM pg_stat_bgwriter)`

/**
 * Names the running transaction: its id, the process that runs it, and how far the log was written before its COMMIT; then what the
 * server says of itself.
 */
export const transactionId =
  `SELECT concat_ws(':', pg_current_xact_id(), pg_backend_pid(), pg_current_wal_insert_lsn() - '0/0', ${here}) AS id`

/** Nothing in it is asked of a standby that it could not answer. An id that was not given away yet has no status. */
const askStatus = `SELECT CASE WHEN NOT pg_is_in_recovery() THEN concat_ws(':',
  CASE WHEN split_part($1::text, ':', 1)::xid8 < pg_snapshot_xmax(pg_current_snapshot())
    THEN coalesce(pg_xact_status(split_part($1::text, ':', 1)::xid8), 'forgotten') ELSE 'not seen' END,
  pg_last_wal_receive_lsn() IS NOT NULL, ${here}) END`

/** Only while it still runs that very transaction: a process of a pooler may serve another client by now. */
const endProcess = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = split_part($1::text, ':', 2)::integer
  AND backend_xid::text = mod(split_part($1::text, ':', 1)::numeric, 4294967296)::text`

/** How often, and how many milliseconds apart, a transaction that still runs is asked for again. */
const asks = 40
const pause = 50
/** So many times first, since the COMMIT may be about to be done; only then is its process ended. */
const patience = 10

interface Server {
  readonly timeline: number
  readonly system: string
  readonly started: string
  /** Where its last recovery has ended; `undefined`: it has not recovered since it was started. */
  readonly recoveredTo: bigint | undefined
  readonly statistics: string
}

const serverOf = ([timeline, system, started, recoveredTo, statistics]: ReadonlyArray<string>): Server => ({
  timeline: Number(timeline),
  system: system ?? "",
  started: started ?? "",
  recoveredTo: recoveredTo === undefined || recoveredTo === "" ? undefined : BigInt(recoveredTo),
  statistics: statistics ?? ""
})

/** Whether the server is the one that ran the transaction, and has lost nothing since. */
const isUnbroken = (then: Server, now: Server): boolean =>
  now.timeline === then.timeline &&
  ((now.started === then.started && now.recoveredTo === then.recoveredTo) ||
    (now.statistics === then.statistics && now.statistics !== ""))

/**
 * What a server's answer says of a transaction.
 *
 * A server that has recovered, from a crash or from being a standby, has the log up to where its recovery ended. The record of the
 * COMMIT comes behind `lsn`, so that it is lost where the recovery ended before. Where it ended behind, the id was seen, and is
 * given to no other transaction; that holds for one recovery, so that after more of them "committed" is not believed. Every other
 * status says that the transaction was not applied, whosever it is.
 */
export const verdict = (id: string, answer: string): CommitStatus | "in progress" => {
  const [, , lsn, ...before] = id.split(":")
  const [status, hasStreamed, ...after] = answer.split(":")
  const then = serverOf(before)
  const now = serverOf(after)
  if (now.system !== then.system || now.timeline < then.timeline || status === "forgotten") return "unknown"
  if (isUnbroken(then, now)) {
    return status === "committed" ? "committed" : status === "aborted" ? "rolled back" : "in progress"
  }
  if (status !== "committed") return "rolled back"
  const { recoveredTo } = now
  if (recoveredTo === undefined || recoveredTo === then.recoveredTo) return "unknown"
  if (recoveredTo <= BigInt(lsn!)) return "rolled back"
  const isOneRecovery = hasStreamed === "t" ? now.timeline === then.timeline + 1 : now.timeline === then.timeline
  return isOneRecovery ? "committed" : "unknown"
}

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
    ask(connection, askStatus, id, (error, answer) => {
      if (error !== undefined) return done(error, "unknown")
      // A standby gives NULL.
      const status = typeof answer === "string" ? verdict(id, answer) : "unknown"
      if (status !== "in progress") return done(undefined, status)
      if (left === 0) return done(undefined, "unknown")
      const later = (): void => void setTimeout(() => round(left - 1), pause)
      if (left !== asks - patience) return later()
      ask(connection, endProcess, id, (failure) => failure === undefined ? later() : done(failure, "unknown"))
    })
  round(asks)
}
