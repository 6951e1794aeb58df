import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Db } from "../../src/Db.js"
import { dropIn } from "../suites/dropIn.js"

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "dblive-" })).pipe(
  Effect.provide(NodeContext.layer)
)

dropIn({
  name: "sqlite",
  describe,
  layer: (transforms) =>
    Layer.unwrapScoped(
      Effect.map(folder, (folder) =>
        Db.layer({ type: "sqlite", filename: `${folder}/test.db`, environment: "production", ...transforms }))
    ),
  dialect: "sqlite",
  words: {
    id: "INTEGER PRIMARY KEY",
    text: "TEXT",
    series: (n) => `WITH RECURSIVE s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < ${n}) SELECT x FROM s`,
    placeholder: "?",
    quote: (name) => `"${name}"`
  },
  returning: { insert: true, update: true },
  rawOfInsert: { changes: 2, lastInsertRowid: 2 },
  eventLog: { journal: true, server: true }
})
