/**
 * What is written for the published clients of `@effect/sql` runs over a layer: each member of `SqlClient`, `Connection` and
 * `Statement`, and what builds on them. Nothing here knows of dblive: the suite holds for the published clients, too.
 */
import { builders } from "./dropIn/builders.js"
import { client } from "./dropIn/client.js"
import { cluster } from "./dropIn/cluster.js"
import { connection } from "./dropIn/connection.js"
import { constructor } from "./dropIn/constructor.js"
import { eventLog } from "./dropIn/eventLog.js"
import { migrator } from "./dropIn/migrator.js"
import { model } from "./dropIn/model.js"
import { queue } from "./dropIn/queue.js"
import { resolvers } from "./dropIn/resolvers.js"
import { statement } from "./dropIn/statement.js"
import type { DropIn } from "./dropIn/target.js"

export const dropIn = (target: DropIn): void =>
  target.describe(`drop-in for @effect/sql: ${target.name}`, () => {
    client(target)
    constructor(target)
    statement(target)
    connection(target)
    resolvers(target)
    model(target)
    migrator(target)
    queue(target)
    cluster(target)
    eventLog(target)
    builders(target)
  })
