/** How long an idle connection is kept, and when it is pinged. */
import { assert, describe, it } from "@effect/vitest"
import type * as DbConfig from "../../src/DbConfig.js"
import { Eviction } from "../../src/internal/pool/Eviction.js"
import { PoolEntry } from "../../src/internal/pool/PoolEntry.js"

const size = 2

const pool: DbConfig.Pool = {
  size,
  overflow: 2,
  overflowIdle: 100,
  acquireTimeout: 1000,
  connectTimeout: 1000,
  validateAfter: 0,
  maxLifetime: 0,
  idleTimeout: 5000,
  minIdle: 1,
  keepalive: 0,
  leakThreshold: 0,
  maxWaiters: 10,
  resetOnReturn: "rollback",
  sharing: "reads",
  sharingDepth: 128,
  closeTimeout: 1000,
  shedding: undefined
}

const entry = (expiresAt = Infinity, pingedAt = 1000) => {
  const one = new PoolEntry(1, "connection", 0, expiresAt, 0)
  one.idleSince = 1000
  one.pingedAt = pingedAt
  return one
}

describe("an idle connection", () => {
  it("is closed after idleTimeout, and one that is overflow after overflowIdle", () => {
    const eviction = new Eviction(pool, size, () => 0.5)
    assert.strictEqual(eviction.due(entry(), 5999, 2), 6000)
    assert.strictEqual(eviction.due(entry(), 6000, 2), "close")
    assert.strictEqual(eviction.due(entry(), 1099, 3), 1100)
    assert.strictEqual(eviction.due(entry(), 1100, 3), "close")
  })

  it("is kept where no more than minIdle are open, until it is too old", () => {
    const eviction = new Eviction(pool, size, () => 0.5)
    assert.strictEqual(eviction.due(entry(), 1_000_000, 1), Infinity)
    assert.strictEqual(eviction.due(entry(9000), 8999, 1), 9000)
    assert.strictEqual(eviction.due(entry(9000), 9000, 1), "close")
  })

  it("is closed when it is too old, also before idleTimeout", () => {
    const eviction = new Eviction(pool, size, () => 0.5)
    assert.strictEqual(eviction.due(entry(3000), 2999, 2), 3000)
    assert.strictEqual(eviction.due(entry(3000), 3000, 2), "close")
  })

  it("is kept for ever with idleTimeout 0, and overflow is not", () => {
    const eviction = new Eviction({ ...pool, idleTimeout: 0 }, size, () => 0.5)
    assert.strictEqual(eviction.due(entry(), 1_000_000, 2), Infinity)
    assert.strictEqual(eviction.due(entry(), 1_000_000, 3), "close")
    assert.strictEqual(eviction.rest(2), Infinity)
    assert.strictEqual(eviction.rest(3), 100)
  })

  it("is pinged each keepalive, and closed all the same", () => {
    const eviction = new Eviction({ ...pool, keepalive: 2000 }, size, () => 0.5)
    assert.strictEqual(eviction.due(entry(), 2999, 2), 3000)
    assert.strictEqual(eviction.due(entry(), 3000, 2), "ping")
    assert.strictEqual(eviction.due(entry(Infinity, 3000), 3001, 2), 5000)
    assert.strictEqual(eviction.due(entry(Infinity, 5000), 5001, 2), 6000)
    assert.strictEqual(eviction.due(entry(Infinity, 1000), 6000, 2), "close")
  })

  it("is looked at again at the first of its limits", () => {
    assert.strictEqual(new Eviction(pool, size, () => 0.5).rest(2), 5000)
    assert.strictEqual(new Eviction({ ...pool, keepalive: 2000 }, size, () => 0.5).rest(2), 2000)
    assert.strictEqual(new Eviction({ ...pool, keepalive: 2000 }, size, () => 0.5).rest(3), 100)
    assert.strictEqual(new Eviction({ ...pool, keepalive: 9000 }, size, () => 0.5).rest(2), 5000)
  })

  it("lives up to a tenth less than maxLifetime, and for ever with 0", () => {
    const expiry = (maxLifetime: number, random: number) =>
      new Eviction({ ...pool, maxLifetime }, size, () => random).expiryFrom(1000)
    assert.strictEqual(expiry(5000, 0), 6000)
    assert.strictEqual(expiry(5000, 1), 5500)
    assert.strictEqual(expiry(0, 0.5), Infinity)
  })
})
