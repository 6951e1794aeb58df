/**
 * How far a standby is behind its primary.
 */
import type { Connection, Done } from "../../../driver/Driver.js"
import { ownRequest } from "../ownRequest.js"
import type { PgConnection } from "./connection.js"

/**
 * The age of what was replayed last, and 0 where all that was received is replayed and more can come: on a primary that writes
 * nothing nothing is replayed, either. Source: PostgreSQL, "Recovery Information Functions" and `pg_stat_wal_receiver`, of which other
 * users than superusers see the `pid` alone.
 */
const askLag = `SELECT CASE
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
  connection.execute(ownRequest(askLag), (error, rows) => {
    if (error !== undefined) return done(error, undefined)
    // An answer in the mode `values`: one row of one number.
    const [[lag]] = rows as readonly [readonly [number | null]]
    done(undefined, lag ?? undefined)
  })
}
