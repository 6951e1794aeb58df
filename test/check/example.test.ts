/** The example runs, and the test that it shows. */
import "../../examples/checked-sql/check.test.js"
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { memory, migrations, program } from "../../examples/checked-sql/main.js"
import { postsOf } from "../../examples/checked-sql/queries.js"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { linesOf } from "../kit/console.js"

it.live("the program of checked statements", () =>
  Effect.gen(function*() {
    yield* DbMigrator.run(Db, { migrations })
    expect(yield* linesOf(program)).toEqual(["post 1 of Ada", "Ada: 1, last Notes"])
    expect(yield* postsOf({ userIds: [1, 2n] })).toEqual([{ id: 1, title: "Notes" }])
  }).pipe(Effect.provide([memory, NodeContext.layer])))
