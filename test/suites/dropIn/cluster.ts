/** The storages of `@effect/cluster`, and a runner that works on them. */
import * as ClusterSchema from "@effect/cluster/ClusterSchema"
import * as Entity from "@effect/cluster/Entity"
import * as EntityAddress from "@effect/cluster/EntityAddress"
import * as EntityId from "@effect/cluster/EntityId"
import * as EntityType from "@effect/cluster/EntityType"
import * as Envelope from "@effect/cluster/Envelope"
import * as Message from "@effect/cluster/Message"
import * as MessageStorage from "@effect/cluster/MessageStorage"
import * as Reply from "@effect/cluster/Reply"
import * as Runner from "@effect/cluster/Runner"
import * as RunnerAddress from "@effect/cluster/RunnerAddress"
import * as RunnerStorage from "@effect/cluster/RunnerStorage"
import * as ShardId from "@effect/cluster/ShardId"
import * as ShardingConfig from "@effect/cluster/ShardingConfig"
import * as SingleRunner from "@effect/cluster/SingleRunner"
import * as Snowflake from "@effect/cluster/Snowflake"
import * as SqlMessageStorage from "@effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "@effect/cluster/SqlRunnerStorage"
import * as Headers from "@effect/platform/Headers"
import * as Rpc from "@effect/rpc/Rpc"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PrimaryKey from "effect/PrimaryKey"
import * as Schema from "effect/Schema"
import { type DropIn, test } from "./target.js"

class Doubling extends Schema.Class<Doubling>("Doubling")({ n: Schema.Number }) {
  [PrimaryKey.symbol]() {
    return String(this.n)
  }
}

const Double = Rpc.make("Double", { payload: Doubling, success: Schema.Number })

const address = EntityAddress.EntityAddress.make({
  shardId: ShardId.make("default", 1),
  entityType: EntityType.EntityType.make("Doubler"),
  entityId: EntityId.EntityId.make("1")
})

const request = (n: number) =>
  Effect.map(Snowflake.Generator, (snowflake) =>
    new Message.OutgoingRequest<typeof Double>({
      envelope: Envelope.makeRequest<typeof Double>({
        requestId: snowflake.unsafeNext(),
        address,
        tag: "Double",
        payload: new Doubling({ n }),
        headers: Headers.empty
      }),
      context: Context.empty(),
      rpc: Double,
      lastReceivedReply: Option.none(),
      respond: () => Effect.void
    }))

const reply = ({ context, envelope, rpc }: Message.OutgoingRequest<typeof Double>, n: number) =>
  Effect.map(Snowflake.Generator, (snowflake) =>
    new Reply.ReplyWithContext<typeof Double>({
      reply: new Reply.WithExit({ id: snowflake.unsafeNext(), requestId: envelope.requestId, exit: Exit.succeed(n) }),
      context,
      rpc
    }))

const messages = SqlMessageStorage.layer.pipe(
  Layer.provideMerge(Snowflake.layerGenerator),
  Layer.provide(ShardingConfig.layerDefaults)
)

/** The storage as a runner of its own has it. */
const runner = (options: Partial<ShardingConfig.ShardingConfig["Type"]>) =>
  Effect.map(
    Layer.build(Layer.fresh(SqlRunnerStorage.layer).pipe(Layer.provide(ShardingConfig.layer(options)))),
    (context) => Context.get(context, RunnerStorage.RunnerStorage)
  )

const shards = [1, 2, 3].map((id) => ShardId.make("default", id))

const ids = (found: ReadonlyArray<ShardId.ShardId>) => found.map((_) => _.id).sort()

const messageStorage = (target: DropIn): void => {
  describe("SqlMessageStorage", () => {
    test(
      target,
      "keeps requests until they are replied to, and each once",
      Effect.gen(function*() {
        const storage = yield* MessageStorage.MessageStorage
        const one = yield* request(1)
        assert.strictEqual((yield* storage.saveRequest(one))._tag, "Success")
        assert.strictEqual((yield* storage.saveRequest(yield* request(2)))._tag, "Success")
        assert.strictEqual((yield* storage.saveRequest(yield* request(1)))._tag, "Duplicate")
        assert.lengthOf(yield* storage.unprocessedMessages([address.shardId]), 2)
        assert.lengthOf(yield* storage.unprocessedMessages([address.shardId]), 0, "they are being worked on")
        yield* storage.resetShards([address.shardId])
        assert.lengthOf(yield* storage.unprocessedMessages([address.shardId]), 2)
        assert.lengthOf(yield* storage.unprocessedMessagesById([one.envelope.requestId]), 1)

        yield* storage.saveReply(yield* reply(one, 2))
        yield* storage.resetAddress(address)
        assert.lengthOf(yield* storage.unprocessedMessages([address.shardId]), 1)
        const [found] = yield* storage.repliesFor([one])
        assert.deepStrictEqual(found?._tag === "WithExit" ? found.exit : undefined, Exit.succeed(2))
        assert.lengthOf(yield* storage.repliesForUnfiltered([one.envelope.requestId]), 1)
        const again = yield* storage.saveRequest(yield* request(1))
        assert.isTrue(again._tag === "Duplicate" && Option.isSome(again.lastReceivedReply))
      }).pipe(Effect.provide(messages))
    )

    test(
      target,
      "finds a request by its primary key, and clears replies and addresses",
      Effect.gen(function*() {
        const storage = yield* MessageStorage.MessageStorage
        const one = yield* request(1)
        yield* storage.saveRequest(one)
        assert.deepStrictEqual(
          yield* storage.requestIdForPrimaryKey({ address, tag: "Double", id: "1" }),
          Option.some(one.envelope.requestId)
        )
        yield* storage.saveReply(yield* reply(one, 2))
        yield* storage.clearReplies(one.envelope.requestId)
        assert.lengthOf(yield* storage.repliesFor([one]), 0)
        assert.lengthOf(yield* storage.unprocessedMessages([address.shardId]), 1, "to be worked on again")
        yield* storage.clearAddress(address)
        assert.lengthOf(yield* storage.unprocessedMessages([address.shardId]), 0)
      }).pipe(Effect.provide(messages))
    )
  })
}

const runnerStorage = (target: DropIn, disableAdvisory: boolean): void => {
  const config = { shardLockDisableAdvisory: disableAdvisory }
  const first = RunnerAddress.make("one", 1)
  const second = RunnerAddress.make("two", 2)

  describe(`SqlRunnerStorage ${disableAdvisory ? "by rows" : "by advisory locks"}`, () => {
    test(
      target,
      "registers two runners and their health",
      Effect.gen(function*() {
        const [one, two] = [yield* runner(config), yield* runner(config)]
        const runners = [first, second].map((address) => Runner.make({ address, groups: ["default"], weight: 1 }))
        assert.strictEqual(yield* one.register(runners[0]!, true), 1)
        assert.notStrictEqual(Number(yield* two.register(runners[1]!, true)), 1)
        assert.strictEqual(yield* one.register(runners[0]!, true), 1)
        yield* two.setRunnerHealth(first, false)
        const found = yield* one.getRunners
        assert.sameDeepMembers(found.map(([runner, healthy]) => [runner.address.host, healthy]), [["one", false], [
          "two",
          true
        ]])
        yield* two.unregister(first)
        assert.lengthOf(yield* one.getRunners, 1)
      })
    )

    test(
      target,
      "a shard is one runner's: the other gets it when it is released, or its runner has gone",
      Effect.gen(function*() {
        const two = yield* runner(config)
        yield* Effect.scoped(Effect.gen(function*() {
          const one = yield* runner(config)
          assert.deepStrictEqual(ids(yield* one.acquire(first, shards.slice(0, 2))), [1, 2])
          assert.deepStrictEqual(ids(yield* one.acquire(first, shards.slice(0, 2))), [1, 2])
          assert.deepStrictEqual(ids(yield* two.acquire(second, shards)), [3])
          assert.deepStrictEqual(ids(yield* one.refresh(first, shards.slice(0, 2))), [1, 2])
          yield* one.release(first, shards[0]!)
          assert.deepStrictEqual(ids(yield* two.acquire(second, shards)), [1, 3])
          assert.deepStrictEqual(ids(yield* one.acquire(first, shards)), [2])
          // A lock of the database ends with the connection, a row has to be taken out.
          if (disableAdvisory || target.dialect === "sqlite") yield* one.releaseAll(first)
        }))
        assert.deepStrictEqual(ids(yield* two.acquire(second, shards)), [1, 2, 3])
        yield* two.releaseAll(second)
      })
    )
  })
}

const Doubler = Entity.make("Doubler", [Double]).annotateRpcs(ClusterSchema.Persisted, true)

export const cluster = (target: DropIn): void => {
  messageStorage(target)
  runnerStorage(target, false)
  runnerStorage(target, true)

  describe("cluster", () => {
    const works = Effect.gen(function*() {
      const doubler = (yield* Doubler.client)("1")
      assert.strictEqual(yield* doubler.Double(new Doubling({ n: 21 })), 42)
      assert.strictEqual(yield* doubler.Double(new Doubling({ n: 21 })), 42)
      const sql = yield* SqlClient.SqlClient
      assert.lengthOf(yield* sql`SELECT id FROM cluster_messages`, 1)
      assert.lengthOf(yield* sql`SELECT id FROM cluster_replies`, 1)
    })

    test(
      target,
      "an entity's durable messages are worked on once",
      Effect.provide(
        works,
        Doubler.toLayer({ Double: ({ payload }) => Effect.succeed(payload.n * 2) }).pipe(
          Layer.provideMerge(SingleRunner.layer({ runnerStorage: "sql", shardingConfig: { shardsPerGroup: 4 } }))
        )
      )
    )
  })
}
