import * as Effect from "effect/Effect"
import { describeMysql, freshMysqlDatabase, mysqlQuery } from "../kit/mysql.js"
import { conformance } from "../suites/conformance.js"
import type { Target } from "../suites/target.js"

const digits = `(SELECT 0 AS d ${Array.from({ length: 9 }, (_, i) => `UNION ALL SELECT ${i + 1}`).join(" ")})`

const mysql: Target = {
  name: "mysql",
  describe: describeMysql,
  fresh: Effect.map(freshMysqlDatabase, ({ url }) => ({ url })),
  sql: {
    id: "BIGINT AUTO_INCREMENT PRIMARY KEY",
    text: "VARCHAR(100)",
    bigint: "BIGINT",
    refusedName: "__proto__",
    // Not by a recursive query: the server ends one after 1,000 rounds, MariaDB without a word.
    series: (n) =>
      `SELECT x FROM (SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS x FROM ${digits} a, ${digits} b, ` +
      `${digits} c, ${digits} e, ${digits} f) s WHERE x <= ${n} ORDER BY x`,
    endless: "SELECT SLEEP(3600)",
    sessionState: [
      {
        change: "CREATE TEMPORARY TABLE leftover AS SELECT 1 AS v",
        read: "SELECT v FROM leftover",
        initial: "UndefinedObject"
      },
      { change: "SET @leftover = 'seen'", read: "SELECT @leftover AS v", initial: null },
      { change: "SET time_zone = '+05:00'", read: "SELECT @@time_zone AS v", initial: "+00:00" },
      {
        change: "SELECT GET_LOCK('dblive leftover', 5)",
        read: "SELECT IS_USED_LOCK('dblive leftover') AS v",
        initial: null
      },
      { change: "USE information_schema", read: "SELECT DATABASE() LIKE 'test%' AS v", initial: 1 }
    ],
    // InnoDB checks every constraint at once.
    deferred: undefined
  },
  connections: (options) =>
    Effect.map(
      mysqlQuery(
        String(options.url),
        "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE DB = DATABASE() AND ID <> CONNECTION_ID()"
      ),
      ([row]) => Number(row?.["n"])
    )
}

conformance(mysql)
