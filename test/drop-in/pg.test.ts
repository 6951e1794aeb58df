import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Db } from "../../src/Db.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { dropIn } from "../suites/dropIn.js"

dropIn({
  name: "postgresql",
  describe: describePostgres,
  layer: (transforms) =>
    Layer.unwrapScoped(
      Effect.map(freshDatabase, ({ url }) => Db.layer({ url, environment: "production", ...transforms }))
    ),
  dialect: "pg",
  words: {
    id: "serial PRIMARY KEY",
    text: "text",
    series: (n) => `SELECT x FROM generate_series(1, ${n}) AS x`,
    placeholder: "$1",
    quote: (name) => `"${name}"`
  },
  returning: { insert: true, update: true },
  rawOfInsert: { command: "INSERT", rowCount: 2 },
  // SqlEventJournal sends a Date to a BIGINT column there, which PostgreSQL refuses, whichever the client.
  eventLog: { journal: false, server: true }
})
