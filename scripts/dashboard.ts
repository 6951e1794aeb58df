/**
 * Writes the Grafana dashboard (`observability/grafana.json`) from the table of its panels: `npm run docs:dashboard`.
 */
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const pool = "db_client_connection_pool_name"
const chosen = `{${pool}=~"$database", job=~"$job"}`
const chosenAnd = (more: string) => `{${pool}=~"$database", job=~"$job", ${more}}`

interface Target {
  readonly expr: string
  readonly legend: string
}

interface Panel {
  readonly title: string
  readonly description: string
  readonly type?: "timeseries" | "stat"
  readonly unit?: string
  readonly width?: number
  readonly targets: ReadonlyArray<Target>
}

const rate = (metric: string, by = ""): string => `sum by (${pool}${by}) (rate(${metric}${chosen}[$__rate_interval]))`

const total = (metric: string, by = ""): string => `sum by (${pool}${by}) (${metric}${chosen})`

const quantiles = (metric: string): ReadonlyArray<Target> =>
  [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (${pool}, le) (rate(${metric}_bucket${chosen}[$__rate_interval])))`,
    legend: `{{${pool}}} p${quantile * 100}`
  }))

const one = (expr: string, legend = ""): ReadonlyArray<Target> => [{ expr, legend: `{{${pool}}}${legend}` }]

const rows: ReadonlyArray<readonly [title: string, panels: ReadonlyArray<Panel>]> = [
  ["Health", [
    {
      title: "Health",
      description: "The number of processes by the status of their last health check.",
      type: "stat",
      targets: one(total("dblive_health", ", status"), " {{status}}")
    },
    {
      title: "Migrations",
      description: "The number of processes by the state of the migrations at their last health check.",
      type: "stat",
      targets: one(total("dblive_migrations", ", status"), " {{status}}")
    },
    {
      title: "Unknown outcomes",
      description: "Transactions of which it is not known whether they were applied: the answer to COMMIT was lost.",
      type: "stat",
      targets: one(
        `sum by (${pool}) (increase(dblive_transactions_total${chosenAnd("outcome=\"unknown\"")}[$__range]))`
      )
    },
    {
      title: "Failures by reason",
      description: "Failures that were given to the program, by error.type.",
      targets: one(rate("dblive_failures_total", ", error_type"), " {{error_type}}")
    }
  ]],
  ["Statements and transactions", [
    {
      title: "Statements per second",
      description: "Statements of the program, without those that dblive adds.",
      unit: "ops",
      targets: one(rate("db_client_operation_duration_seconds_count"))
    },
    {
      title: "Duration of statements",
      description: "Quantiles of the histogram of OpenTelemetry's conventions.",
      unit: "s",
      targets: quantiles("db_client_operation_duration_seconds")
    },
    {
      title: "Transactions per second",
      description: "Transactions by their outcome.",
      unit: "ops",
      targets: one(rate("dblive_transactions_total", ", outcome"), " {{outcome}}")
    },
    {
      title: "Retries per second",
      description: "Attempts that were repeated.",
      unit: "ops",
      targets: one(rate("dblive_retries_total"))
    }
  ]],
  ["Replicas", [
    {
      title: "Reads per second",
      description:
        "Sessions for reading of databases with replicas, by the server that they ran on, and why there: on the primary (behind, left out, " +
        "unknown position) no replica could show enough.",
      unit: "ops",
      targets: one(rate("dblive_reads_total", ", dblive_read_reason"), " {{dblive_read_reason}}")
    },
    {
      title: "Replication lag",
      description:
        "How far each standby was behind its primary when it was last asked: by a health check, or for a read.",
      unit: "s",
      targets: one(`max by (${pool}) (dblive_replication_lag_seconds${chosen})`)
    }
  ]],
  ["Pool", [
    {
      title: "Connections",
      description: "Connections that are used and idle, and how many may be open.",
      targets: [
        ...one(total("db_client_connection_count", ", db_client_connection_state"), " {{db_client_connection_state}}"),
        ...one(total("db_client_connection_max"), " max")
      ]
    },
    {
      title: "Waiting",
      description: "Fibers that wait for a connection, and waits that reached their limit.",
      targets: [
        ...one(total("db_client_connection_pending_requests"), " waiting"),
        ...one(rate("db_client_connection_timeouts_total"), " timeouts/s")
      ]
    },
    {
      title: "Wait for a connection",
      description: "How long a connection was waited for; 0 where one was idle.",
      unit: "s",
      targets: quantiles("db_client_connection_wait_time_seconds")
    },
    {
      title: "Use of a connection",
      description: "How long sessions and transactions keep a connection.",
      unit: "s",
      targets: quantiles("db_client_connection_use_time_seconds")
    },
    {
      title: "Opening of a connection",
      description: "How long it takes to open a connection.",
      unit: "s",
      targets: quantiles("db_client_connection_create_time_seconds")
    },
    {
      title: "Sessions per second",
      description: "Sessions that were opened.",
      unit: "ops",
      targets: one(rate("dblive_sessions_total"))
    }
  ]]
]

const columns = 24
const height = 8

/** Rows and panels with their places on Grafana's grid. */
const layout = () => {
  const panels: Array<object> = []
  let id = 0
  let y = 0
  for (const [title, group] of rows) {
    panels.push({ id: ++id, type: "row", title, collapsed: false, gridPos: { x: 0, y, w: columns, h: 1 }, panels: [] })
    y += 1
    const perRow = group.length % 3 === 0 ? 3 : 2
    const width = columns / perRow
    group.forEach(({ description, targets, title, type = "timeseries", unit = "short" }, i) => {
      panels.push({
        id: ++id,
        type,
        title,
        description,
        datasource: { type: "prometheus", uid: "${datasource}" },
        gridPos: { x: (i % perRow) * width, y: y + Math.floor(i / perRow) * height, w: width, h: height },
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        options: type === "stat"
          ? { reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false }, textMode: "value_and_name" }
          : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
        targets: targets.map(({ expr, legend }, n) => ({
          refId: String.fromCharCode(65 + n),
          datasource: { type: "prometheus", uid: "${datasource}" },
          editorMode: "code",
          expr,
          legendFormat: legend,
          range: true
        }))
      })
    })
    y += Math.ceil(group.length / perRow) * height
  }
  return panels
}

const variable = (name: string, label: string) => ({
  type: "query",
  name,
  label: name,
  datasource: { type: "prometheus", uid: "${datasource}" },
  query: { query: `label_values(db_client_connection_max, ${label})`, refId: name },
  definition: `label_values(db_client_connection_max, ${label})`,
  includeAll: true,
  multi: true,
  allValue: ".*",
  current: { text: "All", value: "$__all" },
  refresh: 2
})

/** The dashboard as Grafana imports it. */
export const dashboard = {
  title: "dblive",
  uid: "dblive",
  description: "Databases of programs that use dblive: health, statements, transactions, pools.",
  tags: ["dblive", "database"],
  schemaVersion: 39,
  version: 1,
  editable: true,
  graphTooltip: 1,
  refresh: "30s",
  time: { from: "now-1h", to: "now" },
  timezone: "",
  annotations: { list: [] },
  links: [],
  templating: {
    list: [
      { type: "datasource", name: "datasource", label: "data source", query: "prometheus", current: {}, refresh: 1 },
      variable("job", "job"),
      variable("database", pool)
    ]
  },
  panels: layout()
}

export const text = `${JSON.stringify(dashboard, undefined, 2)}\n`

const file = new URL("../observability/grafana.json", import.meta.url)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(file, text)
}
