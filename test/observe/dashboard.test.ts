/** The dashboard for Grafana and the alerts for Prometheus ask for metrics that there are, in queries that parse. */
import { assert, describe, it } from "@effect/vitest"
import { parser } from "@prometheus-io/lezer-promql"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import * as Yaml from "yaml"
import { dashboard, text as generated } from "../../scripts/dashboard.js"
import { Db } from "../../src/Db.js"
import * as DbPrometheus from "../../src/DbPrometheus.js"
import { MetricsRecorder } from "../../src/internal/observe/MetricsRecorder.js"

const read = (name: string): string => readFileSync(new URL(`../../observability/${name}`, import.meta.url), "utf8")

/** A query without Grafana's variables. */
const plain = (expr: string): string =>
  expr.replaceAll(/\$__rate_interval|\$__range/g, "5m").replaceAll("$database", ".*").replaceAll("$job", ".*")

interface Query {
  /** The metrics that are asked for, each with the labels that are named beside it. */
  readonly metrics: ReadonlyArray<readonly [name: string, labels: ReadonlyArray<string>]>
  readonly groups: ReadonlyArray<string>
}

/** Reads a query; fails where it is none. */
const parse = (expr: string): Query => {
  const metrics: Array<readonly [string, Array<string>]> = []
  const groups: Array<string> = []
  parser.parse(expr).iterate({
    enter: ({ from, name, to, type }) => {
      const word = expr.slice(from, to)
      if (type.isError) assert.fail(`"${expr}" is no PromQL at ${from}`)
      if (name === "Identifier") metrics.push([word, []])
      if (name === "LabelName") {
        // Of a selector, or of a list behind `by` and `on`.
        if (/^\s*(?:=|!)/.test(expr.slice(to))) metrics.at(-1)?.[1].push(word)
        else groups.push(word)
      }
    }
  })
  return { metrics, groups }
}

/** What a program that has met everything exports: each metric with its labels. */
const exported = Effect.gen(function*() {
  const none = Db.query("SELECT 1")
  yield* Db.watchMigrations(Effect.succeed("pending" as const))
  yield* Db.health
  yield* Db.transaction(none)
  yield* Effect.ignore(Db.query("SELECT * FROM missing"))
  const held = yield* Deferred.make<void>()
  const holder = yield* Effect.fork(
    Db.session(Effect.zipRight(none, Effect.zipRight(Deferred.succeed(held, undefined), Effect.never)))
  )
  yield* Deferred.await(held)
  // The only connection is held, so that this reaches its limit.
  yield* Effect.flip(none)
  yield* Fiber.interrupt(holder)
  // A standby has said so: test/health/standby.test.ts has a real one, and test/replicas/replicas.test.ts real reads.
  const recorder = new MetricsRecorder("default")
  recorder.replicationLag(3)
  recorder.read("left out")
  const found = new Map<string, Set<string>>()
  for (const line of (yield* DbPrometheus.render).split("\n")) {
    const [, name, labels = ""] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? /.exec(line) ?? []
    if (name === undefined || line.startsWith("#")) continue
    const known = found.get(name) ?? new Set()
    found.set(name, known)
    for (const [, label] of labels.matchAll(/(\w+)="/g)) known.add(label!)
  }
  return found
}).pipe(Effect.provide(
  Db.layer({ url: "sqlite::memory:", pool: { size: 1, overflow: 0, acquireTimeout: "10 millis" } })
))

/** Those that the scrape adds. */
const ofScrape = ["job", "instance"]

const check = (expr: string, metrics: ReadonlyMap<string, ReadonlySet<string>>): void => {
  const query = parse(plain(expr))
  assert.isNotEmpty(query.metrics, expr)
  for (const [name, labels] of query.metrics) {
    const known = metrics.get(name)
    assert.isDefined(known, `"${expr}" asks for ${name}, which is not exported`)
    for (const label of [...labels, ...query.groups].filter((label) => !ofScrape.includes(label))) {
      assert.isTrue(known!.has(label), `"${expr}": ${name} has no label ${label}`)
    }
  }
}

const Rules = Schema.Struct({
  groups: Schema.Array(Schema.Struct({
    name: Schema.NonEmptyString,
    rules: Schema.Array(Schema.Struct({
      alert: Schema.NonEmptyString,
      expr: Schema.NonEmptyString,
      for: Schema.optional(Schema.String.pipe(Schema.pattern(/^\d+[smh]$/))),
      labels: Schema.Struct({ severity: Schema.Literal("warning", "critical") }),
      annotations: Schema.Struct({ summary: Schema.NonEmptyString, description: Schema.NonEmptyString })
    }))
  }))
})

describe("the dashboard", () => {
  it("is the one that its script writes", () => assert.strictEqual(read("grafana.json"), generated))

  it.live("asks in each panel for metrics and labels that are exported", () =>
    Effect.gen(function*() {
      const metrics = yield* exported
      const targets = dashboard.panels.flatMap((panel) =>
        "targets" in panel ? panel.targets as ReadonlyArray<{ readonly expr: string }> : []
      )
      assert.isAtLeast(targets.length, 20)
      for (const { expr } of targets) check(expr, metrics)
      for (const { definition } of dashboard.templating.list.filter((one) => "definition" in one)) {
        const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(String(definition)) ?? []
        assert.isTrue(metrics.get(metric!)?.has(label!) === true || ofScrape.includes(label!), String(definition))
      }
    }))
})

describe("the alerts", () => {
  it.live("are rules whose queries ask for metrics and labels that are exported", () =>
    Effect.gen(function*() {
      const metrics = yield* exported
      const { groups } = yield* Schema.decodeUnknown(Rules, { onExcessProperty: "error" })(
        Yaml.parse(read("alerts.yml"))
      )
      const rules = groups.flatMap(({ rules }) => rules)
      for (const { expr } of rules) check(expr, metrics)
      assert.strictEqual(new Set(rules.map(({ alert }) => alert)).size, rules.length)
      for (
        const name of ["DblivePoolExhausted", "DbliveUnknownOutcome", "DbliveReplicationLag", "DbliveMigrationsFailed"]
      ) {
        assert.isTrue(rules.some(({ alert }) => alert === name), name)
      }
    }))

  it("would notice a query that is none, and a metric that there is not", () => {
    assert.throws(() => parse("sum by (le (x))"))
    assert.throws(() => check("sum(missing_total)", new Map()))
    assert.throws(() => check("sum by (status) (present)", new Map([["present", new Set<string>()]])))
  })
})
