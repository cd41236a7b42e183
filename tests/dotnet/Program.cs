// A peer of StreamJsonRpc, as a server and as a client: `serve FORMATTER`, which
// prints its address, or `connect FORMATTER ADDRESS`. In both roles it has the same
// methods, and "ask" lets it call those of the other side.

using System.Diagnostics;
using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using StreamJsonRpc;
using StreamJsonRpc.Protocol;

string role = args[0], kind = args[1];
if (role == "serve")
{
    var builder = WebApplication.CreateBuilder();
    builder.Logging.ClearProviders();
    builder.WebHost.UseUrls("http://127.0.0.1:0");
    var app = builder.Build();
    // recipe: StreamJsonRpc
    app.UseWebSockets();
    app.Map("/", async context =>
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        await Speak(socket);
    });
    // end
    await app.StartAsync();
    Console.WriteLine(app.Urls.First().Replace("http", "ws") + "/");
    await app.WaitForShutdownAsync();
}
else
{
    var url = args[2];
    // recipe: StreamJsonRpc
    using var socket = new ClientWebSocket();
    await socket.ConnectAsync(new Uri(url), CancellationToken.None);
    await Speak(socket);
    // end
}

// recipe: StreamJsonRpc
async Task Speak(WebSocket socket)
{
    using var rpc = new Line(new WebSocketMessageHandler(socket, Formatter()));
    rpc.ActivityTracingStrategy = new ActivityTracingStrategy();
    rpc.AddLocalRpcTarget(new Bank(rpc), new JsonRpcTargetOptions
    {
        MethodNameTransform = CommonMethodNameTransforms.CamelCase,
    });
    rpc.StartListening();
    await rpc.Completion;
}

IJsonRpcMessageFormatter Formatter() => kind == "newtonsoft"
    ? new JsonMessageFormatter()
    : new SystemTextJsonFormatter();
// end

// recipe: StreamJsonRpc
[RpcMarshalable]
public interface IAccount : IDisposable
{
    Task<int> AddAsync(int amount); // The other side calls "AddAsync".
}

public sealed class Account : IAccount
{
    private int balance;

    public static int Disposed { get; set; }

    public Task<int> AddAsync(int amount) =>
        Task.FromResult(balance += amount);

    public void Dispose() => Disposed++;
}

// What the other side has. By Attach, since InvokeAsync would write an argument
// by its class, as data.
public interface ITeller
{
    [JsonRpcMethod("open")]
    Task<IAccount> OpenAsync();
    [JsonRpcMethod("pay")]
    Task<int> PayAsync(IAccount account);
    [JsonRpcMethod("count")]
    IAsyncEnumerable<int> Count(int most, CancellationToken cancel);
    [JsonRpcMethod("sum")]
    Task<int> SumAsync(IAsyncEnumerable<int> numbers);
    [JsonRpcMethod("work")]
    Task WorkAsync(IProgress<int> progress);
    [JsonRpcMethod("refuse")]
    Task RefuseAsync();
}

// Of which type the data of an error is; else it is read as an exception's.
public sealed class Line(IJsonRpcMessageHandler handler) : JsonRpc(handler)
{
    protected override Type? GetErrorDetailsDataType(JsonRpcError error) =>
        error.Error?.Code == (JsonRpcErrorCode)7
            ? typeof(Shortage)
            : base.GetErrorDetailsDataType(error);
}

public sealed class Shortage
{
    public int missing { get; set; }
}
// end

/// <summary>What the other side can call, in both roles.</summary>
public class Bank(JsonRpc rpc)
{
    private readonly ITeller teller = rpc.Attach<ITeller>();

    private IAccount? kept;

    // recipe: StreamJsonRpc
    public IAccount Open() => new Account(); // Until either side lets go.

    public async Task<int> PayAsync(IAccount account)
    {
        using (account) return await account.AddAsync(5);
    }

    public async IAsyncEnumerable<int> Count(
        int most, [EnumeratorCancellation] CancellationToken cancel)
    {
        for (var n = 1; n <= most; n++)
        {
            await Task.Delay(1, cancel);
            yield return n;
        }
    }

    public async Task<int> SumAsync(IAsyncEnumerable<int> numbers)
    {
        var sum = 0;
        await foreach (var number in numbers) sum += number;
        return sum;
    }

    public void Work(IProgress<int> progress)
    {
        for (var n = 1; n <= 3; n++) progress.Report(n);
    }

    public void Refuse() => throw new LocalRpcException("Not enough")
    {
        ErrorCode = 7,
        ErrorData = new { missing = 5 },
    };
    // end

    public int Add(int a, int b) => a + b;

    public void Break() => throw new InvalidOperationException("broken");

    public IDisposable Subscribe() => new Account();

    public int Disposed() => Account.Disposed;

    public void Keep(IAccount account) => kept = account;

    public void LetGo() => kept!.Dispose();

    public async Task<int> PayTwiceAsync(IAccount account)
    {
        await account.AddAsync(5);
        return await account.AddAsync(5);
    }

    // A stream in batches, written ahead.
    public IAsyncEnumerable<int> Batched(int most, CancellationToken cancel) =>
        Count(most, cancel).WithJsonRpcSettings(new JsonRpcEnumerableSettings
        {
            MinBatchSize = 3,
            MaxReadAhead = 6,
            Prefetch = 2,
        });

    public async IAsyncEnumerable<int> Fail()
    {
        yield return 1;
        await Task.Yield();
        throw new LocalRpcException("Torn") { ErrorCode = 8 };
    }

    public Task WaitAsync(CancellationToken cancel) =>
        Task.Delay(Timeout.Infinite, cancel);

    public async Task SlowAsync(int milliseconds) => await Task.Delay(milliseconds);

    // What this side asks of the other one.

    public async Task<string> AskForAccountAsync()
    {
        // recipe: StreamJsonRpc
        using var account = await teller.OpenAsync(); // Its dispose runs.
        await account.AddAsync(5);
        var balance = await account.AddAsync(2); // 7
        // end
        return $"{balance}";
    }

    public async Task<string> AskToPayAsync()
    {
        var account = new Account();
        return $"{await teller.PayAsync(account)}";
    }

    public async Task<string> AskToCountAsync(int most, int enough)
    {
        var seen = new List<int>();
        await foreach (var number in teller.Count(most, CancellationToken.None))
        {
            seen.Add(number);
            if (seen.Count == enough) break;
        }
        return string.Join(",", seen);
    }

    public async Task<string> AskToSumAsync()
    {
        var settings = new JsonRpcEnumerableSettings { MinBatchSize = 2, Prefetch = 3 };
        var numbers = Count(10, CancellationToken.None).WithJsonRpcSettings(settings);
        return $"{await teller.SumAsync(numbers)}";
    }

    public async Task<string> AskToSumTornAsync()
    {
        try
        {
            return $"{await teller.SumAsync(Fail())}";
        }
        catch (RemoteInvocationException error)
        {
            return $"{error.ErrorCode}";
        }
    }

    public async Task<string> AskToWorkAsync()
    {
        var seen = new List<int>();
        await teller.WorkAsync(new Reports(seen));
        lock (seen) return string.Join(",", seen);
    }

    public async Task<string> AskAndBeRefusedAsync()
    {
        try
        {
            await teller.RefuseAsync();
            return "accepted";
        }
        catch (RemoteInvocationException error)
        {
            var shortage = (Shortage)error.DeserializedErrorData!;
            return $"{error.ErrorCode} {error.Message} {shortage.missing}";
        }
    }

    public async Task<string> AskAndCancelAsync()
    {
        using var cancel = new CancellationTokenSource();
        var waiting = rpc.InvokeWithCancellationAsync("wait", [], cancel.Token);
        cancel.CancelAfter(100);
        try
        {
            await waiting;
            return "done";
        }
        catch (OperationCanceledException)
        {
            return "cancelled";
        }
    }

    public async Task<string> AskForTraceAsync()
    {
        using var activity = new Activity("ask").Start();
        var trace = await rpc.InvokeAsync<string>("trace");
        return trace.Contains(activity.TraceId.ToHexString()) ? "same" : trace;
    }

    public string MyTrace() => Activity.Current?.Id ?? "none";
}

/// <summary>Progress as it arrives: Progress of the library would go by the pool.</summary>
public class Reports(List<int> seen) : IProgress<int>
{
    public void Report(int value)
    {
        lock (seen) seen.Add(value);
    }
}
