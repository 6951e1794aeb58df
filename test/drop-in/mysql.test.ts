import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Db } from "../../src/Db.js"
import { describeMysql, freshMysqlDatabase } from "../kit/mysql.js"
import { dropIn } from "../suites/dropIn.js"

dropIn({
  name: "mysql",
  describe: describeMysql,
  layer: (transforms) =>
    Layer.unwrapScoped(
      Effect.map(freshMysqlDatabase, ({ url }) => Db.layer({ url, environment: "production", ...transforms }))
    ),
  dialect: "mysql",
  words: {
    id: "INTEGER AUTO_INCREMENT PRIMARY KEY",
    text: "VARCHAR(100)",
    // Not by a recursive query: MySQL ends one after 1,000 rounds.
    series: (n) =>
      `WITH d AS (SELECT 0 AS d ${Array.from({ length: 9 }, (_, i) => `UNION ALL SELECT ${i + 1}`).join(" ")}) ` +
      `SELECT x FROM (SELECT 1 + a.d + 10 * b.d + 100 * c.d AS x FROM d a, d b, d c) s WHERE x <= ${n} ORDER BY x`,
    placeholder: "?",
    quote: (name) => `\`${name}\``
  },
  // MariaDB has INSERT ... RETURNING, MySQL has not.
  returning: { insert: false, update: false },
  rawOfInsert: { affectedRows: 2, insertId: 1 },
  // The statements of both say ON CONFLICT, which is a syntax error there, whichever the client.
  eventLog: { journal: false, server: false }
})
