import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { plainText } from "./support/plain-text.ts";
import { describeWithReference } from "./support/reference.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";

/**
 * One user's program against the official SDK. It prints one JSON line per step, so that a failure names the step, and sends
 * what the SDK itself prints to stderr.
 */
const PROGRAM = `
import json, os, sys, io
out = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)
import sky
from sky import exceptions

def step(name, value):
    out.write(json.dumps({'step': name, 'value': value}, default=str) + '\\n')
    out.flush()

def error_of(call):
    try:
        call()
    except Exception as e:
        return [type(e).__module__ + '.' + type(e).__name__, str(e)]
    return None

step('api_info', [sky.api_info()['status'].value, sky.api_info()['api_version']])
step('check', sky.get(sky.client.sdk.check(('ssh',), verbose=False)))
step('enabled_clouds', sky.get(sky.client.sdk.enabled_clouds()))
step('empty', sky.get(sky.status()))

task = sky.Task(name='sdk', setup='echo prepared', run='echo "run $WORD on $SKYPILOT_NODE_RANK"; cat here.txt',
                envs={'WORD': "it's \\"quoted\\""}, workdir=os.path.join(os.getcwd(), 'wd'), num_nodes=2)
task.set_resources(sky.Resources(infra='ssh/local'))
job_id, handle = sky.stream_and_get(sky.launch(task, cluster_name='s1', idle_minutes_to_autostop=30))
step('launch', {'job_id': job_id, 'cluster': handle.cluster_name, 'nodes': handle.launched_nodes,
                'resources': str(handle.launched_resources)})

log = io.StringIO()
step('tail_logs', sky.tail_logs('s1', job_id, follow=True, output_stream=log))
step('log', log.getvalue())
lines = list(sky.tail_logs('s1', job_id, follow=False, preload_content=False))
step('lines', [line for line in lines if line is not None][-1])

record = sky.get(sky.status(['s1']))[0]
step('status', {k: record[k] for k in ('name', 'autostop', 'to_down', 'nodes', 'user_name')} | {'status': record['status'].value})
step('status_all', [r['name'] for r in sky.get(sky.status(refresh=sky.StatusRefreshMode.FORCE))])

job_id, _ = sky.get(sky.exec(sky.Task(run='echo from exec; exit 3'), cluster_name='s1'))
step('exec', {'job_id': job_id, 'exit': sky.tail_logs('s1', job_id, follow=True)})
step('job_status', {k: v.value for k, v in sky.get(sky.job_status('s1', [1, 2])).items()})
step('queue', [[j['job_id'], j['job_name'], j['status'].value] for j in sky.get(sky.queue('s1'))])

job_id, _ = sky.get(sky.exec(sky.Task(run='sleep 1003'), cluster_name='s1'))
sky.get(sky.cancel('s1', job_ids=[job_id]))
step('cancel', sky.get(sky.job_status('s1', [job_id]))[job_id].value)
dirs = sky.download_logs('s1', ['1'])
step('download', sorted(os.listdir(os.path.expanduser(list(dirs.values())[0]))))

sky.get(sky.autostop('s1', 15, down=True))
record = sky.get(sky.status(['s1']))[0]
step('autostop', [record['autostop'], record['to_down']])
step('endpoints', error_of(lambda: sky.get(sky.endpoints('s1'))))

sky.get(sky.stop('s1'))
step('stop', sky.get(sky.status(['s1']))[0]['status'].value)
step('not_up', error_of(lambda: sky.get(sky.exec(sky.Task(run='true'), cluster_name='s1')))[0])
handle = sky.get(sky.start('s1'))
step('start', [handle.cluster_name, sky.get(sky.status(['s1']))[0]['status'].value])
step('cost', [[r['name'], r['status'].value if r['status'] else None] for r in sky.get(sky.cost_report())])

dag = sky.Dag()
with dag:
    sky.Task(name='plan', run='true').set_resources(sky.Resources(cpus='1+'))
plan = io.StringIO()
sky.stream_and_get(sky.optimize(dag), output_stream=plan)
step('optimize', 'Considered resources (1 node)' in plan.getvalue())
step('api_status', sorted({r.name for r in sky.api_status(all_status=True, limit=None)}))
step('missing', error_of(lambda: sky.get(sky.exec(sky.Task(run='true'), cluster_name='nosuch'))))
step('bad_name', error_of(lambda: sky.get(sky.launch(sky.Task(run='true'), cluster_name='-bad-')))[0])

sky.get(sky.down('s1'))
step('down', sky.get(sky.status()))
step('down_again', error_of(lambda: sky.get(sky.down('s1')))[0])
`;

interface Step {
  readonly step: string;
  readonly value: unknown;
}

describeWithReference("a program on the official SDK, on its own machine's server", (reference) => {
  let sandbox: Sandbox;
  let steps: ReadonlyMap<string, unknown>;
  let stderr = "";

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    sandbox.write("wd/here.txt", "workdir file\n");
    await sandbox.startServer();
    const client = new OfficialClient(sandbox, reference, { remote: false });
    const result = await client.python(PROGRAM, { timeoutMs: 170_000 });
    stderr = result.stderr;
    const lines = result.stdout.split("\n").filter((line) => line !== "");
    steps = new Map(lines.map((line) => JSON.parse(line) as Step).map(({ step, value }) => [step, value]));
  });

  afterAll(async () => {
    await sandbox?.dispose();
  });

  it("runs to its end", () => {
    expect([...steps.keys()].at(-1), stderr).toBe("down_again");
  });

  it.each([
    ["api_info", ["healthy", "62"]],
    ["empty", []],
    ["tail_logs", 0],
    ["status", { name: "s1", autostop: 30, to_down: false, nodes: 2, user_name: "root", status: "UP" }],
    ["status_all", ["s1"]],
    ["exec", { job_id: 2, exit: 100 }],
    ["job_status", { 1: "SUCCEEDED", 2: "FAILED" }],
    [
      "queue",
      [
        [2, "-", "FAILED"],
        [1, "sdk", "SUCCEEDED"],
      ],
    ],
    ["cancel", "CANCELLED"],
    ["autostop", [15, true]],
    ["stop", "STOPPED"],
    ["not_up", "sky.exceptions.ClusterNotUpError"],
    ["start", ["s1", "UP"]],
    ["cost", [["s1", "UP"]]],
    ["optimize", true],
    ["missing", ["sky.exceptions.ClusterDoesNotExist", "Cluster 'nosuch' does not exist."]],
    ["bad_name", "sky.exceptions.InvalidClusterNameError"],
    ["down", []],
    ["down_again", "sky.exceptions.ClusterDoesNotExist"],
  ])("%s gives what the original gives", (step, expected) => {
    expect(steps.get(step)).toEqual(expected);
  });

  it("launch gives the job and a handle", () => {
    expect(steps.get("launch")).toMatchObject({ job_id: 1, cluster: "s1", nodes: 2 });
  });

  it("the log holds every rank's lines, values quoted as given", () => {
    const log = plainText(String(steps.get("log")));
    expect(log).toMatch(/\) run it's "quoted" on 0\n/u);
    expect(log).toMatch(/\) run it's "quoted" on 1\n/u);
    expect(log.match(/\) workdir file\n/gu)).toHaveLength(2);
    expect(plainText(String(steps.get("lines")))).toContain("Job finished (status: SUCCEEDED).");
  });

  it("requests are known by the original's names", () => {
    const names = [
      "sky.autostop",
      "sky.cancel",
      "sky.exec",
      "sky.launch",
      "sky.queue",
      "sky.start",
      "sky.status",
      "sky.stop",
    ];
    expect(steps.get("api_status")).toEqual(expect.arrayContaining(names));
    expect(steps.get("download")).toContain("run.log");
  });

  it("nothing is left behind", () => {
    const server = sandbox.serverProcesses().map(({ pid }) => pid);
    expect(sandbox.processes().filter(({ pid }) => !server.includes(pid))).toEqual([]);
    expect(readdirSync(join(sandbox.home, ".sky/local"))).toEqual([]);
  });
});
