/** The example runs, and the test that it shows. */
import "../../examples/checked-sql/check.test.js"
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { memory, migrations, program } from "../../examples/checked-sql/main.js"
import { postsOf } from "../../examples/checked-sql/queries.js"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"

it.live("the program of checked statements", () =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const console = yield* Console.consoleWith(Effect.succeed)
    yield* DbMigrator.run(Db, { migrations })
    yield* Effect.withConsole(program, { ...console, log: (line) => Effect.sync(() => void lines.push(String(line))) })
    expect(lines).toEqual(["post 1 of Ada", "Ada: 1, last Notes"])
    expect(yield* postsOf({ userIds: [1, 2n] })).toEqual([{ id: 1, title: "Notes" }])
  }).pipe(Effect.provide([memory, NodeContext.layer])))
