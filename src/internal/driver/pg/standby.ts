/**
 * Standbys: how far behind its primary one is, how far it has replayed the primary's log, and how far the primary has written it.
 */
import type { Connection, Done, Replayed, Request } from "../../../driver/Driver.js"
import { ownRequest } from "../ownRequest.js"
import type { PgConnection } from "./connection.js"
import { askPosition, parsePosition } from "./position.js"

/**
 * The age of what was replayed last, and 0 where all that was received is replayed and more can come: on a primary that writes
 * nothing nothing is replayed, either. Source: PostgreSQL, "Recovery Information Functions" and `pg_stat_wal_receiver`, of which other
 * users than superusers see the `pid` alone.
 */
const lag = `CASE
  WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) THEN 0
  ELSE greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0)
END::float8`

/** Servers say by themselves whether they are one: from PostgreSQL 14 on. */
const isStandby = ({ parameters }: PgConnection): boolean => parameters.get("in_hot_standby") === "on"

/** In seconds; `undefined` where the server is no standby, or has replayed nothing yet. */
export const replicationLag = (connection: Connection, done: Done<number | undefined>): void => {
  // The connections of this driver are of this class.
  if (!isStandby(connection as PgConnection)) {
    return done(undefined, undefined)
  }
  connection.execute(ownRequest(`SELECT ${lag}`), (error, rows) => {
    if (error !== undefined) return done(error, undefined)
    // An answer in the mode `values`: one row of one number.
    const [[lag]] = rows as readonly [readonly [number | null]]
    done(undefined, lag ?? undefined)
  })
}

/** A question that is asked so often that it is worth to be prepared. */
const often = (text: string): Request => ({ ...ownRequest(text), prepare: true })

/** How far the server of a connection has written. */
export const written = (connection: Connection, done: Done<bigint>): void =>
  connection.execute(often(askPosition), (error, rows) => {
    // Beside an error the value is not read.
    if (error !== undefined) return done(error, 0n)
    // An answer in the mode `values`: one row of one text, which is no NULL on a server that has started.
    const [[text]] = rows as readonly [readonly [string]]
    done(undefined, parsePosition(text)!)
  })

/** The server is named by when it was started and where: a balancer may lie in between. */
const askReplayed = `SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn()::text, ${lag},
  concat_ws(' ', pg_postmaster_start_time(), inet_server_addr(), inet_server_port())`

/** How far a standby has replayed; `undefined` where the server is none. */
export const replayed = (connection: Connection, done: Done<Replayed | undefined>): void =>
  connection.execute(often(askReplayed), (error, rows) => {
    if (error !== undefined) return done(error, undefined)
    // An answer in the mode `values`.
    const [[isStandby, position, lag, server]] = rows as readonly [
      readonly [boolean, string | null, number | null, string]
    ]
    done(
      undefined,
      isStandby && position !== null
        ? { position: parsePosition(position)!, lag: lag ?? undefined, server }
        : undefined
    )
  })
