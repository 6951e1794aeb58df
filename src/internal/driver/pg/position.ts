/**
 * Places in the log that a server writes and its standbys replay.
 */

/**
 * How far a server has written its log, a standby: replayed. What is visible on a primary is written at a place before that.
 *
 * Where the log is written up to the end of a page, the next record begins behind the header of the next page, 24 bytes further, while
 * a standby has replayed up to the end of the page, and is not further until there is such a record. What is flushed is told as the
 * standby tells it.
 */
export const askPosition = `SELECT CASE
  WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
  WHEN pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn() = 24 THEN pg_current_wal_flush_lsn()
  ELSE pg_current_wal_insert_lsn()
END::text`

/** A place in the log, as PostgreSQL writes it (`16/B374D848`); `undefined` for any other text. */
export const parsePosition = (text: string): bigint | undefined => {
  const [, high, low] = /^([\dA-Fa-f]{1,8})\/([\dA-Fa-f]{1,8})$/.exec(text) ?? []
  return high === undefined ? undefined : BigInt(`0x${high}`) << 32n | BigInt(`0x${low!}`)
}

/** The same, as PostgreSQL reads it. */
export const formatPosition = (position: bigint): string =>
  `${(position >> 32n).toString(16)}/${(position & 0xFFFFFFFFn).toString(16)}`.toUpperCase()
