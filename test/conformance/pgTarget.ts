import * as Effect from "effect/Effect"
import { describePostgres, freshDatabase, query, sharedPostgres } from "../kit/postgres.js"
import type { Target } from "../suites/target.js"

/** PostgreSQL itself. */
export const pg: Target = {
  name: "postgresql",
  describe: describePostgres,
  fresh: Effect.map(freshDatabase, ({ url }) => ({ url })),
  sql: {
    id: "bigserial PRIMARY KEY",
    text: "text",
    bigint: "bigint",
    resolvesCommits: true,
    series: (n) => `SELECT x FROM generate_series(1, ${n}) AS x`,
    endless: "SELECT pg_sleep(3600)",
    sessionState: [
      {
        change: "CREATE TEMP TABLE leftover AS SELECT 1 AS v",
        read: "SELECT v FROM leftover",
        initial: "UndefinedObject"
      },
      {
        change: "SET search_path = nowhere",
        read: "SELECT current_setting('search_path') AS v",
        initial: "\"$user\", public"
      },
      {
        change: "SELECT set_config('dblive.leftover', 'seen', false)",
        read: "SELECT nullif(current_setting('dblive.leftover', true), '') AS v",
        initial: null
      },
      {
        change: "SELECT pg_advisory_lock(4711)",
        read: "SELECT count(*)::int AS v FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711",
        initial: 0
      },
      { change: "LISTEN leftover", read: "SELECT count(*)::int AS v FROM pg_listening_channels()", initial: 0 }
    ],
    deferred: {
      parent: "CREATE TABLE parent (id bigint PRIMARY KEY)",
      child: "CREATE TABLE child (parent_id bigint REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
      insert: "INSERT INTO child VALUES (7)"
    }
  },
  connections: (options) =>
    Effect.map(
      query(
        sharedPostgres().url,
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
        [new URL(String(options.url)).pathname.slice(1)]
      ),
      ([row]) => Number(row?.["n"])
    )
}
