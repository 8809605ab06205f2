/*
 * Every structure of every atop raw log, 1.26 to 2.13, once.
 *
 * A line whose comment ends in a range of versions, [first-last], is there in these versions only, both ends
 * included; an open end reaches as far as atop goes. A line without a range is there in all of them.
 *
 *     count_t  cfuture[4];         // [2.1-2.5]     from 2.1 to 2.5
 *     count_t  vlock;              // KiB [2.6-]    from 2.6 on
 *
 * atop's patch level counts once: 2.2.3 is 2.2-3 and what followed it, 2.2 is what went before.
 * The names are atop's. The facts (order, types, ranges) were measured: debug information of 22 versions, built
 * for 7 machines, and the logs they wrote. count_t is 64 bits everywhere; time_t and long are as wide as the
 * machine's ABI has them; nothing is packed.
 *
 * Counters are differences over the interval, unless it says `now` (or the record is the first of an atop run:
 * then since boot). `ticks` are rawheader.hertz a second, `pages` are rawheader.pagesize bytes, `sectors` are
 * 512 bytes. What is called future is reserved, and may hold stale memory.
 */

/* rawheader.utsname: uname(2). */
struct utsname {
    char     sysname[65];           // Linux
    char     nodename[65];          // host name
    char     release[65];           // kernel release
    char     version[65];           // kernel build
    char     machine[65];           // of the kernel: does not tell the ABI of atop
    char     domainname[65];        // NIS domain
};

/* The start of a file, once; 480 bytes in all versions and on all machines. */
struct rawheader {
    uint32_t magic;                 // 0xfeedbeef, in the byte order of the machine
    uint16_t aversion;              // 0x8000 | major << 8 | minor; without the patch level
    uint16_t future1;
    uint16_t future2;
    uint16_t rawheadlen;            // bytes of rawheader
    uint16_t rawreclen;             // bytes of rawrecord
    uint16_t hertz;                 // ticks per second
    uint16_t pidwidth;              // digits of the highest pid [2.8-]
    uint16_t sfuture[6];            // [-2.7]
    uint16_t sfuture[5];            // [2.8-]
    uint32_t sstatlen;              // bytes of sstat
    uint32_t tstatlen;              // bytes of tstat; 1.26 calls it pstatlen
    struct utsname utsname;         // the machine, when the file was begun
    char     cfuture[8];
    uint32_t pagesize;              // bytes
    int      supportflags;          // bits, other than those of rawrecord.flags
    int      osrel;                 // kernel version: 6 of 6.1.0
    int      osvers;                // 1 of 6.1.0
    int      ossub;                 // 0 of 6.1.0
    int      cstatlen;              // bytes of cstat [2.11-]
    int      ifuture[6];            // [-2.10]
    int      ifuture[5];            // [2.11-]
};

/* One sample; its compressed structures follow it. */
struct rawrecord {
    time_t   curtime;               // s since 1970 UTC, when the sample began
    uint16_t flags;                 // bits: 1 first of an atop run, 4 and 8 netatop, 16 accounting, 32 I/O, ...
    uint16_t ncgroups;              // cstat structures [2.11-]
    uint16_t sfuture[3];            // [-2.10]
    uint16_t sfuture[2];            // [2.11-]
    uint32_t scomplen;              // bytes of the compressed sstat
    uint32_t pcomplen;              // bytes of the compressed tstat list
    uint32_t interval;              // s since the previous sample, at least 1; uptime in the first of a run
    uint32_t nlist;                 // tstat structures stored [-1.26]
    uint32_t npresent;              // processes, without the exited [-1.26]
    uint32_t nexit;                 // tstat structures of exited processes, the last in the list [-1.26]
    uint32_t ntrun;                 // threads running [-1.26]
    uint32_t ntslpi;                // threads sleeping, interruptible [-1.26]
    uint32_t ntslpu;                // threads sleeping, uninterruptible [-1.26]
    uint32_t nzombie;               // processes [-1.26]
    uint32_t ndeviat;               // tstat structures stored [1.27-]
    uint32_t nactproc;              // active processes, with the exited [1.27-]
    uint32_t ntask;                 // tasks, with the exited since 2.3 [1.27-]
    uint32_t totproc;               // processes, with the exited since 2.3 [1.27-]
    uint32_t totrun;                // threads running [1.27-]
    uint32_t totslpi;               // threads sleeping, interruptible [1.27-]
    uint32_t totslpu;               // threads sleeping, uninterruptible [1.27-]
    uint32_t totzomb;               // processes [1.27-]
    uint32_t nexit;                 // tstat structures of exited processes, the last in the list [1.27-]
    uint32_t noverflow;             // exited processes skipped: too many [1.27-]
    uint32_t totidle;               // threads idle [2.10-]
    uint32_t ccomplen;              // bytes of the compressed cstat list [2.11-]
    uint32_t coriglen;              // bytes of the cstat list [2.11-]
    uint32_t ncgpids;               // pids in the list of pids, 4 bytes each [2.11-]
    uint32_t icomplen;              // bytes of the compressed list of pids [2.11-]
    uint32_t ifuture[6];            // [-2.9]
    uint32_t ifuture[5];            // [2.10-2.10]
    uint32_t ifuture;               // [2.11-]
};

/* tstat.gen: what a task is. */
struct gen {
    int      tgid;                  // pid of the process [1.27-]
    int      pid;                   // of the process, or the thread's id
    int      ppid;                  // parent; of an exited process: at its exit
    int      ruid;                  // ids are unsigned: mask them with 0xffffffff
    int      euid;                  // of an exited process only ruid and rgid are known, the other six are 0
    int      suid;
    int      fsuid;
    int      rgid;
    int      egid;
    int      sgid;
    int      fsgid;
    int      nthr;                  // threads
    char     name[16];              // 15 bytes, any encoding
    uint8_t  isproc;                // 1 process, 0 thread [1.27-]
    uint8_t  state;                 // letter: E exited, Z zombie, R, S, D, I, T ...
    int      excode;                // wait status; bit 31: first seen in this sample
    time_t   btime;                 // start, s since 1970 UTC; the exited may differ by 1 s from the living
    time_t   elaps;                 // ticks of life of an exited process, else 0
    char     cmdline[151];          // arguments parted by blanks [-1.26]
    char     cmdline[256];          // arguments parted by blanks [1.27-]
    int      nthrslpi;              // threads sleeping, interruptible
    int      nthrslpu;              // threads sleeping, uninterruptible
    int      nthrrun;               // threads running
    int      nthridle;              // threads idle [2.10-]
    int      envid;                 // OpenVZ container [2.1-2.1]
    int      ctid;                  // OpenVZ container [2.2-]
    int      vpid;                  // pid inside that container [2.2-]
    int      wasinactive;           // 1: nothing changed in this interval [2.3-]
    char     container[16];         // 12 hexadecimal digits of the container's id [2.3-2.9]
    char     utsname[16];           // foreign host name, its last 15 bytes [2.10-2.12]
    char     utsname[40];           // foreign host name, its first 38 bytes [2.13-]
    int      cgroupix;              // filled for display only: rebuild it from the list of pids [2.11-]
    char     cgpath[64];            // cgroup v2 path, its first 63 bytes [2.8-2.10]
    int      ifuture[1];            // [-1.26]
    int      ifuture[4];            // [1.27-2.1]
    int      ifuture[5];            // [2.2-2.2.3]
    int      ifuture[4];            // [2.11-]
};

/* tstat.cpu: the processor time of a task. An exited process has utime and stime only. */
struct cpu {
    count_t  utime;                 // ticks in user mode
    count_t  stime;                 // ticks in system mode
    int      nice;                  // now
    int      prio;                  // now, kernel priority + 100
    int      rtprio;                // now, real-time priority
    int      policy;                // now, scheduling policy
    int      curcpu;                // processor now; -1 of an exited process since 2.8
    int      sleepavg;              // percentage asleep
    int      cgcpuweight;           // cgroup v2; -1 max, -2 undefined [2.8-2.10]
    int      cgcpumax;              // percentage; -1 max, -2 undefined [2.8-2.10]
    int      cgcpumaxr;             // the strictest of the groups above; same [2.8-2.10]
    int      ifuture[4];            // [-2.7]
    int      ifuture[3];            // [2.8-2.10]
    int      ifuture[6];            // [2.11-]
    char     wchan[16];             // kernel function waited in; only if atop was told to ask [2.6-]
    count_t  rundelay;              // ns waiting for a processor [2.6-]
    count_t  blkdelay;              // ticks waiting for block devices [2.8-]
    count_t  nvcsw;                 // voluntary context switches [2.9-]
    count_t  nivcsw;                // involuntary context switches [2.9-]
    count_t  cfuture[4];            // [-2.5]
    count_t  cfuture[1];            // [2.6-2.7]
    count_t  cfuture[3];            // [2.8-2.8]
    count_t  cfuture[1];            // [2.9-2.9]
    count_t  cfuture[3];            // [2.10-]
};

/* tstat.dsk: the disk transfers of a task. */
struct dsk {
    count_t  rio;                   // copy of rsz
    count_t  rsz;                   // sectors read
    count_t  wio;                   // copy of wsz
    count_t  wsz;                   // sectors written
    count_t  cwsz;                  // sectors written and cancelled
    count_t  cfuture[4];
};

/* tstat.mem: the memory of a task. An exited process has minflt and majflt only. */
struct mem {
    count_t  minflt;                // faults without I/O
    count_t  majflt;                // faults with I/O
    count_t  shtext;                // KiB of text now [-1.26]
    count_t  vexec;                 // KiB of executable now [1.27-]
    count_t  vmem;                  // KiB virtual now
    count_t  rmem;                  // KiB resident now
    count_t  pmem;                  // KiB proportional now; 0 unless atop was told to ask [2.1-]
    count_t  vgrow;                 // KiB virtual growth, signed
    count_t  rgrow;                 // KiB resident growth, signed
    count_t  vdata;                 // KiB of data now [1.27-]
    count_t  vstack;                // KiB of stack now [1.27-]
    count_t  vlibs;                 // KiB of libraries now [1.27-]
    count_t  vswap;                 // KiB swapped now [1.27-]
    count_t  vlock;                 // KiB locked now [2.6-]
    count_t  oomscore;              // badness now, 0 to 2000 [2.13-]
    count_t  oomscoreadj;           // adjustment now, -1000 to 1000 [2.13-]
    count_t  cgmemmax;              // limit of the cgroup; -1 max, -2 undefined [2.8-2.10]
    count_t  cgmemmaxr;             // the strictest of the groups above; same [2.8-2.10]
    count_t  cgswpmax;              // swap limit of the cgroup; same [2.8-2.10]
    count_t  cgswpmaxr;             // the strictest of the groups above; same [2.8-2.10]
    count_t  cfuture[4];            // [-1.26]
    count_t  cfuture[4];            // [2.1-2.5]
    count_t  cfuture[3];            // [2.6-2.10]
    count_t  cfuture[7];            // [2.11-2.12]
    count_t  cfuture[5];            // [2.13-]
};

/* tstat.net: the network transfers of a task; filled only with the netatop module or its BPF twin. */
struct net {
    count_t  tcpsnd;                // packets
    count_t  tcpssz;                // bytes
    count_t  tcprcv;                // packets
    count_t  tcprsz;                // bytes
    count_t  udpsnd;                // packets
    count_t  udpssz;                // bytes
    count_t  udprcv;                // packets
    count_t  udprsz;                // bytes
    count_t  rawsnd;                // packets [-1.27]
    count_t  rawrcv;                // packets [-1.27]
    count_t  avail1;                // unused [2.0-]
    count_t  avail2;                // unused [2.0-]
    count_t  cfuture[4];
};

/* tstat.gpu: the graphics processors of a task; stale memory unless rawrecord.flags has 0x80. */
struct gpu {
    uint8_t  state;                 // letter: A active, E exited; 0 none
    uint8_t  type;                  // letter: C computing, G graphics [2.13-]
    uint8_t  cfuture[3];            // [2.4-2.10]
    uint8_t  bfuture[3];            // [2.11-2.12]
    uint8_t  bfuture[2];            // [2.13-]
    int16_t  nrgpus;                // processors in use
    int32_t  gpulist;               // bit per processor in use
    int      gpubusy;               // percentage; -1 unknown [2.4-2.12]
    int      membusy;               // percentage; -1 unknown [2.4-2.12]
    count_t  timems;                // ms [2.4-2.12]
    count_t  gpubusycum;            // sum of percentages, over samples; -1 unknown [2.13-]
    count_t  membusycum;            // sum of percentages, over samples; -1 unknown [2.13-]
    count_t  memnow;                // KiB now
    count_t  memcum;                // sum of KiB, over samples
    count_t  sample;                // samples [2.4-2.12]
    count_t  samples;               // samples [2.13-]
    count_t  cfuture[3];            // [2.11-]
};

/* One task: a process, a thread, or an exited process; 1.26 calls it pstat. */
struct tstat {
    struct gen gen;
    struct cpu cpu;
    struct dsk dsk;
    struct mem mem;
    struct net net;
    struct gpu gpu;                 // [2.4-]
};

/* cstat.gen: what a group is. */
struct cggen {
    int      structlen;             // bytes of this group with its name, a multiple of 8
    int      sequence;              // position in the list
    int      parentseq;             // position of the parent; -1 of the root
    int      depth;                 // 0 of the root
    int      nprocs;                // pids in the list of pids
    int      procsbelow;            // processes in the groups below
    int      namelen;               // bytes of the name
    int      fullnamelen;           // bytes of the path, without slashes
    int      ifuture[4];
    long     namehash;
    long     lfuture[4];
};

/* cstat.conf: a group's limits now; -1 max, -2 undefined. */
struct cgconf {
    int      cpuweight;
    int      cpumax;                // percentage
    count_t  memmax;                // pages
    count_t  swpmax;                // pages
    int      dskweight;
    int      ifuture[5];
    count_t  cfuture[5];
};

/* cstat.cpu: a group's processor time. */
struct cgcpu {
    count_t  utime;                 // us in user mode
    count_t  stime;                 // us in system mode
    count_t  somepres;              // us in which some task waited
    count_t  fullpres;              // us in which all tasks waited
    count_t  cfuture[5];
};

/* cstat.mem: a group's memory. */
struct cgmem {
    count_t  current;               // pages now
    count_t  anon;                  // pages now
    count_t  file;                  // pages now
    count_t  kernel;                // pages now
    count_t  shmem;                 // pages now
    count_t  somepres;              // us in which some task waited
    count_t  fullpres;              // us in which all tasks waited
    count_t  cfuture[5];
};

/* cstat.dsk: a group's disk transfers. */
struct cgdsk {
    count_t  rbytes;                // bytes read
    count_t  wbytes;                // bytes written
    count_t  rios;                  // reads
    count_t  wios;                  // writes
    count_t  somepres;              // us in which some task waited
    count_t  fullpres;              // us in which all tasks waited
    count_t  cfuture[5];
};

/* One cgroup (v2); its name, namelen + 1 bytes, follows: the next one is structlen bytes from its start. */
struct cstat {
    struct cggen  gen;
    struct cgconf conf;
    struct cgcpu  cpu;
    struct cgmem  mem;
    struct cgdsk  dsk;
    char     cgname[0];             // last part of the path, ended by a NUL; empty of the root
};

/* percpu.freqcnt: the frequency of one processor. */
struct freqcnt {
    count_t  maxfreq;               // MHz, highest possible
    count_t  cnt;                   // sum of MHz times ticks; MHz now where ticks is 0
    count_t  ticks;                 // of the sum
};

/* sstat.cpu.all and .cpu: one processor. */
struct percpu {
    int      cpunr;                 // its number [-2.12]
    uint32_t cpunr;                 // its number [2.13-]
    uint8_t  online;                // 1 online now [2.13-]
    uint8_t  chfuture[3];           // [2.13-]
    count_t  stime;                 // ticks in system mode
    count_t  utime;                 // ticks in user mode
    count_t  ntime;                 // ticks in user mode, niced
    count_t  itime;                 // ticks idle
    count_t  wtime;                 // ticks idle, waiting for I/O
    count_t  Itime;                 // ticks of interrupts
    count_t  Stime;                 // ticks of soft interrupts
    count_t  steal;                 // ticks stolen by other virtual machines
    count_t  guest;                 // ticks of virtual machines
    struct freqcnt freqcnt;
    count_t  instr;                 // instructions [2.4-]
    count_t  cycle;                 // cycles [2.4-]
    count_t  cfuture[1];            // [-2.0]
    count_t  cfuture[4];            // [2.1-2.3]
    count_t  cfuture[2];            // [2.4-2.6]
    count_t  cfuture[6];            // [2.7-]
};

/* sstat.cpu: the processors. */
struct cpustat {
    count_t  nrcpu;                 // processors [-2.12]
    int      nrcpu;                 // processors online [2.13-]
    int      maxcpu;                // entries of cpu in use [2.13-]
    count_t  devint;                // interrupts
    count_t  csw;                   // context switches
    count_t  nprocs;                // processes and threads started
    float    lavg1;                 // load average of 1 minute now
    float    lavg5;                 // of 5 minutes
    float    lavg15;                // of 15 minutes
    count_t  cfuture[4];
    struct percpu all;              // the sum of all
    struct percpu cpu[64];          // [-1.26]
    struct percpu cpu[2048];        // [1.27-2.12]
    struct percpu cpu[4096];        // [2.13-]
};

/* sstat.mem: the memory. Sizes are now. */
struct memstat {
    count_t  physmem;               // pages
    count_t  freemem;               // pages
    count_t  buffermem;             // pages
    count_t  slabmem;               // pages
    count_t  cachemem;              // pages
    count_t  cachedrt;              // pages of the cache that are dirty
    count_t  totswap;               // pages
    count_t  freeswap;              // pages
    count_t  pgscans;               // pages scanned
    count_t  pgsteal;               // pages reclaimed [1.27-]
    count_t  allocstall;            // allocations that had to reclaim
    count_t  swouts;                // pages swapped out
    count_t  swins;                 // pages swapped in
    count_t  tcpsock;               // pages of TCP sockets [2.8-]
    count_t  udpsock;               // pages of UDP sockets [2.8-]
    count_t  commitlim;             // pages that may be promised
    count_t  committed;             // pages promised
    count_t  shmem;                 // pages shared, with tmpfs [2.0-]
    count_t  shmrss;                // pages of System V memory, resident [2.0-]
    count_t  shmswp;                // pages of System V memory, swapped [2.0-]
    count_t  slabreclaim;           // pages of slab that can be reclaimed [2.0-]
    count_t  tothugepage;           // huge pages [2.1-2.9]
    count_t  freehugepage;          // huge pages free [2.1-2.9]
    count_t  hugepagesz;            // bytes of a huge page [2.1-2.9]
    count_t  stothugepage;          // small huge pages [2.10-]
    count_t  sfreehugepage;         // small huge pages free [2.10-]
    count_t  shugepagesz;           // bytes of a small huge page [2.10-]
    count_t  vmwballoon;            // pages claimed by VMware's balloon [2.1-]
    count_t  zfsarcsize;            // pages of the ZFS cache [2.6-]
    count_t  swapcached;            // pages swapped and in memory [2.6-]
    count_t  ksmsharing;            // pages saved by merging [2.7-]
    count_t  ksmshared;             // pages that others were merged into [2.7-]
    count_t  zswstored;             // pages held by zswap, as they were [2.7-2.9]
    count_t  zswtotpool;            // pages that zswap needs for them [2.7-2.9]
    count_t  zswapped;              // pages held by zswap, as they were [2.10-]
    count_t  zswap;                 // pages that zswap needs for them [2.10-]
    count_t  oomkills;              // processes killed for lack of memory [2.7-]
    count_t  compactstall;          // allocations that had to compact [2.7-]
    count_t  pgmigrate;             // pages migrated [2.7-]
    count_t  numamigrate;           // pages migrated between NUMA nodes [2.7-]
    count_t  pgouts;                // written to block devices, as pgpgout of /proc/vmstat [2.8-]
    count_t  pgins;                 // read from block devices, as pgpgin of /proc/vmstat [2.8-]
    count_t  pagetables;            // pages of page tables [2.8-]
    count_t  zswouts;               // pages from zswap to disk [2.10-]
    count_t  zswins;                // pages from zswap to memory [2.10-]
    count_t  ltothugepage;          // large huge pages [2.10-]
    count_t  lfreehugepage;         // large huge pages free [2.10-]
    count_t  lhugepagesz;           // bytes of a large huge page [2.10-]
    count_t  availablemem;          // pages available without swapping [2.10-]
    count_t  anonhugepage;          // pages in transparent huge pages [2.10-]
    count_t  lowwatermark;          // pages, below which the kernel reclaims [2.13-]
    count_t  cfuture[4];            // [-1.27]
    count_t  cfuture[8];            // [2.1-2.5]
    count_t  cfuture[6];            // [2.6-2.6]
    count_t  cfuture[9];            // [2.7-2.7]
    count_t  cfuture[4];            // [2.8-2.10]
    count_t  cfuture[5];            // [2.11-2.12]
    count_t  cfuture[4];            // [2.13-]
};

/* sstat.net.ipv4. */
struct ipv4_stats {
    count_t  Forwarding;            // now: 1 forwards, 2 does not
    count_t  DefaultTTL;            // hops now
    count_t  InReceives;            // datagrams
    count_t  InHdrErrors;           // datagrams
    count_t  InAddrErrors;          // datagrams
    count_t  ForwDatagrams;         // datagrams
    count_t  InUnknownProtos;       // datagrams
    count_t  InDiscards;            // datagrams
    count_t  InDelivers;            // datagrams
    count_t  OutRequests;           // datagrams
    count_t  OutDiscards;           // datagrams
    count_t  OutNoRoutes;           // datagrams
    count_t  ReasmTimeout;          // reassemblies
    count_t  ReasmReqds;            // fragments
    count_t  ReasmOKs;              // datagrams
    count_t  ReasmFails;            // reassemblies
    count_t  FragOKs;               // datagrams
    count_t  FragFails;             // datagrams
    count_t  FragCreates;           // fragments
};

/* sstat.net.icmpv4: messages. */
struct icmpv4_stats {
    count_t  InMsgs;
    count_t  InErrors;
    count_t  InCsumErrors;          // [2.8-]
    count_t  InDestUnreachs;
    count_t  InTimeExcds;
    count_t  InParmProbs;
    count_t  InSrcQuenchs;
    count_t  InRedirects;
    count_t  InEchos;
    count_t  InEchoReps;
    count_t  InTimestamps;
    count_t  InTimestampReps;
    count_t  InAddrMasks;
    count_t  InAddrMaskReps;
    count_t  OutMsgs;
    count_t  OutErrors;
    count_t  OutDestUnreachs;
    count_t  OutTimeExcds;
    count_t  OutParmProbs;
    count_t  OutSrcQuenchs;
    count_t  OutRedirects;
    count_t  OutEchos;
    count_t  OutEchoReps;
    count_t  OutTimestamps;
    count_t  OutTimestampReps;
    count_t  OutAddrMasks;
    count_t  OutAddrMaskReps;
};

/* sstat.net.udpv4: datagrams. */
struct udpv4_stats {
    count_t  InDatagrams;
    count_t  NoPorts;
    count_t  InErrors;
    count_t  OutDatagrams;
};

/* sstat.net.ipv6: datagrams, and fragments where the name says so. */
struct ipv6_stats {
    count_t  Ip6InReceives;
    count_t  Ip6InHdrErrors;
    count_t  Ip6InTooBigErrors;
    count_t  Ip6InNoRoutes;
    count_t  Ip6InAddrErrors;
    count_t  Ip6InUnknownProtos;
    count_t  Ip6InTruncatedPkts;
    count_t  Ip6InDiscards;
    count_t  Ip6InDelivers;
    count_t  Ip6OutForwDatagrams;
    count_t  Ip6OutRequests;
    count_t  Ip6OutDiscards;
    count_t  Ip6OutNoRoutes;
    count_t  Ip6ReasmTimeout;
    count_t  Ip6ReasmReqds;
    count_t  Ip6ReasmOKs;
    count_t  Ip6ReasmFails;
    count_t  Ip6FragOKs;
    count_t  Ip6FragFails;
    count_t  Ip6FragCreates;
    count_t  Ip6InMcastPkts;
    count_t  Ip6OutMcastPkts;
};

/* sstat.net.icmpv6: messages. */
struct icmpv6_stats {
    count_t  Icmp6InMsgs;
    count_t  Icmp6InErrors;
    count_t  Icmp6InDestUnreachs;
    count_t  Icmp6InPktTooBigs;
    count_t  Icmp6InTimeExcds;
    count_t  Icmp6InParmProblems;
    count_t  Icmp6InEchos;
    count_t  Icmp6InEchoReplies;
    count_t  Icmp6InGroupMembQueries;
    count_t  Icmp6InGroupMembResponses;
    count_t  Icmp6InGroupMembReductions;
    count_t  Icmp6InRouterSolicits;
    count_t  Icmp6InRouterAdvertisements;
    count_t  Icmp6InNeighborSolicits;
    count_t  Icmp6InNeighborAdvertisements;
    count_t  Icmp6InRedirects;
    count_t  Icmp6OutMsgs;
    count_t  Icmp6OutDestUnreachs;
    count_t  Icmp6OutPktTooBigs;
    count_t  Icmp6OutTimeExcds;
    count_t  Icmp6OutParmProblems;
    count_t  Icmp6OutEchoReplies;
    count_t  Icmp6OutRouterSolicits;
    count_t  Icmp6OutNeighborSolicits;
    count_t  Icmp6OutNeighborAdvertisements;
    count_t  Icmp6OutRedirects;
    count_t  Icmp6OutGroupMembResponses;
    count_t  Icmp6OutGroupMembReductions;
};

/* sstat.net.udpv6: datagrams. */
struct udpv6_stats {
    count_t  Udp6InDatagrams;
    count_t  Udp6NoPorts;
    count_t  Udp6InErrors;
    count_t  Udp6OutDatagrams;
};

/* sstat.net.tcp. */
struct tcp_stats {
    count_t  RtoAlgorithm;          // now
    count_t  RtoMin;                // ms now
    count_t  RtoMax;                // ms now
    count_t  MaxConn;               // connections now; -1 no limit
    count_t  ActiveOpens;           // connections
    count_t  PassiveOpens;          // connections
    count_t  AttemptFails;          // connections
    count_t  EstabResets;           // connections
    count_t  CurrEstab;             // connections now
    count_t  InSegs;                // segments
    count_t  OutSegs;               // segments
    count_t  RetransSegs;           // segments
    count_t  InErrs;                // segments
    count_t  OutRsts;               // segments
    count_t  InCsumErrors;          // segments [2.10-]
};

/* sstat.net: the kernel's SNMP counters (/proc/net/snmp, /proc/net/snmp6), by RFC 1213 and 4293. */
struct netstat {
    struct ipv4_stats   ipv4;
    struct icmpv4_stats icmpv4;
    struct udpv4_stats  udpv4;
    struct ipv6_stats   ipv6;
    struct icmpv6_stats icmpv6;
    struct udpv6_stats  udpv6;
    struct tcp_stats    tcp;
};

/* sstat.intf.intf: one interface. */
struct perintf {
    char     name[16];
    count_t  rbyte;                 // bytes received
    count_t  rpack;                 // packets received
    count_t  rerrs;                 // errors
    count_t  rdrop;                 // packets dropped
    count_t  rfifo;                 // overruns
    count_t  rframe;                // framing errors
    count_t  rcompr;                // packets compressed
    count_t  rmultic;               // packets by multicast
    count_t  rfuture[4];
    count_t  sbyte;                 // bytes sent
    count_t  spack;                 // packets sent
    count_t  serrs;                 // errors
    count_t  sdrop;                 // packets dropped
    count_t  sfifo;                 // overruns
    count_t  scollis;               // collisions
    count_t  scarrier;              // carrier losses
    count_t  scompr;                // packets compressed
    count_t  sfuture[4];
    uint8_t  type;                  // letter: e ethernet, w wireless, v virtual, ? other [2.2.3-]
    long     speed;                 // Mbit/s now
    long     speedp;                // Mbit/s in the previous sample [2.2.3-]
    uint8_t  duplex;                // 1 full now
    count_t  cfuture[4];
};

/* sstat.intf: the network interfaces. */
struct intfstat {
    int      nrintf;                // entries of intf in use
    struct perintf intf[32];        // [-1.26]
    struct perintf intf[128];       // [1.27-]
};

/* sstat.memnuma.numa: the memory of one node now. */
struct mempernuma {
    int      numanr;                // its number [2.8-]
    float    frag;                  // fragmentation, 0 to 1
    count_t  totmem;                // pages
    count_t  freemem;               // pages
    count_t  filepage;              // pages
    count_t  dirtymem;              // pages
    count_t  slabmem;               // pages
    count_t  slabreclaim;           // pages of slab that can be reclaimed
    count_t  active;                // pages
    count_t  inactive;              // pages
    count_t  shmem;                 // pages
    count_t  tothp;                 // huge pages
    count_t  freehp;                // huge pages free [2.10-]
    count_t  cfuture[2];            // [2.11-]
};

/* sstat.memnuma: the memory by NUMA node. */
struct memnuma {
    count_t  nrnuma;                // entries of numa in use
    struct mempernuma numa[1024];
};

/* sstat.cpunuma.numa: the processors of one node. */
struct cpupernuma {
    int      numanr;                // its number [2.8-]
    count_t  nrcpu;                 // processors
    count_t  stime;                 // ticks in system mode
    count_t  utime;                 // ticks in user mode
    count_t  ntime;                 // ticks in user mode, niced
    count_t  itime;                 // ticks idle
    count_t  wtime;                 // ticks idle, waiting for I/O
    count_t  Itime;                 // ticks of interrupts
    count_t  Stime;                 // ticks of soft interrupts
    count_t  steal;                 // ticks stolen by other virtual machines
    count_t  guest;                 // ticks of virtual machines
    count_t  cfuture[2];            // [2.11-]
};

/* sstat.cpunuma: the processors by NUMA node. */
struct cpunuma {
    count_t  nrnuma;                // entries of numa in use
    struct cpupernuma numa[1024];
};

/* sstat.dsk.dsk, .mdd and .lvm: one device. */
struct perdsk {
    char     name[32];
    count_t  nread;                 // reads
    count_t  nrsect;                // sectors read
    count_t  nwrite;                // writes
    count_t  nwsect;                // sectors written
    count_t  io_ms;                 // ms busy
    count_t  avque;                 // ms busy, times requests waiting
    count_t  ndisc;                 // discards; -1 unknown [2.7-]
    count_t  ndsect;                // sectors discarded [2.7-]
    count_t  inflight;              // requests now [2.8-]
    count_t  cfuture[4];            // [-2.6]
    count_t  cfuture[2];            // [2.7-2.7]
    count_t  cfuture[3];            // [2.8-]
};

/* sstat.dsk: disks, software RAID devices and logical volumes. */
struct dskstat {
    int      ndsk;                  // entries of dsk in use
    int      nmdd;                  // entries of mdd in use
    int      nlvm;                  // entries of lvm in use
    struct perdsk dsk[256];         // [-1.26]
    struct perdsk dsk[512];         // [1.27-2.0]
    struct perdsk dsk[1024];        // [2.1-]
    struct perdsk mdd[128];         // [-1.26]
    struct perdsk mdd[256];         // [1.27-]
    struct perdsk lvm[256];         // [-1.26]
    struct perdsk lvm[1024];        // [1.27-2.0]
    struct perdsk lvm[2048];        // [2.1-]
};

/* sstat.nfs.server: /proc/net/rpc/nfsd. */
struct nfsserver {
    count_t  netcnt;                // packets
    count_t  netudpcnt;             // packets by UDP
    count_t  nettcpcnt;             // packets by TCP
    count_t  nettcpcon;             // connections by TCP
    count_t  rpccnt;                // calls
    count_t  rpcbadfmt;             // calls with a bad format
    count_t  rpcbadaut;             // calls with bad credentials
    count_t  rpcbadcln;             // calls of a bad client
    count_t  rpcread;               // calls that read
    count_t  rpcwrite;              // calls that write
    count_t  rchits;                // hits of the reply cache
    count_t  rcmiss;                // misses of the reply cache
    count_t  rcnoca;                // calls past the reply cache
    count_t  nrbytes;               // bytes read
    count_t  nwbytes;               // bytes written
    count_t  future[8];
};

/* sstat.nfs.client: /proc/net/rpc/nfs. */
struct nfsclient {
    count_t  rpccnt;                // calls
    count_t  rpcretrans;            // calls sent again
    count_t  rpcautrefresh;         // credentials renewed
    count_t  rpcread;               // calls that read
    count_t  rpcwrite;              // calls that write
    count_t  future[8];
};

/* sstat.nfs.nfsmounts.nfsmnt: one mount. */
struct pernfsmount {
    char     mountdev[128];         // server:path
    count_t  age;                   // s since it was mounted
    count_t  bytesread;             // bytes read by programs
    count_t  byteswrite;            // bytes written by programs
    count_t  bytesdread;            // bytes read directly
    count_t  bytesdwrite;           // bytes written directly
    count_t  bytestotread;          // bytes read from the server
    count_t  bytestotwrite;         // bytes written to the server
    count_t  pagesmread;            // pages read for mappings
    count_t  pagesmwrite;           // pages written for mappings
    count_t  future[8];
};

/* sstat.nfs.nfsmounts: what is mounted. */
struct nfsmounts {
    int      nrmounts;              // entries of nfsmnt in use
    struct pernfsmount nfsmnt[64];
};

/* sstat.nfs: network file systems. */
struct nfsstat {
    struct nfsserver server;
    struct nfsclient client;
    struct nfsmounts nfsmounts;     // [2.2.3-]
};

/* sstat.cfs.cont: one container. */
struct percontainer {
    unsigned long ctid;             // its number
    unsigned long numproc;          // processes now
    count_t  system;                // ticks in system mode
    count_t  user;                  // ticks in user mode
    count_t  nice;                  // ticks in user mode, niced
    count_t  uptime;                // ticks
    count_t  physpages;             // pages now
};

/* sstat.cfs: OpenVZ containers. */
struct contstat {
    int      nrcontainer;           // entries of cont in use
    struct percontainer cont[128];
};

/* One line of /proc/pressure. */
struct psi {
    float    avg10;                 // percentage of the last 10 s
    float    avg60;                 // of the last 60 s
    float    avg300;                // of the last 300 s
    count_t  total;                 // us
};

/* sstat.psi: pressure stall information (/proc/pressure). */
struct pressure {
    uint8_t  present;               // 1: the kernel has it
    uint8_t  future[3];
    struct psi cpusome;             // some tasks waited for a processor
    struct psi memsome;             // some waited for memory
    struct psi memfull;             // all waited for memory
    struct psi iosome;              // some waited for I/O
    struct psi iofull;              // all waited for I/O
};

/* sstat.gpu.gpu: one processor. */
struct pergpu {
    uint8_t  taskstats;             // 1: tells per task
    uint8_t  nrprocs;               // processes now
    char     type[13];              // model
    char     busid[13];             // on the PCI bus
    int      gpunr;                 // its number
    int      gpupercnow;            // percentage busy now; -1 unknown
    int      mempercnow;            // percentage of memory busy now; -1 unknown
    count_t  memtotnow;             // KiB
    count_t  memusenow;             // KiB in use now
    count_t  samples;               // samples
    count_t  gpuperccum;            // sum of percentages, over samples; -1 unknown
    count_t  memperccum;            // sum of percentages, over samples; -1 unknown
    count_t  memusecum;             // sum of KiB, over samples
};

/* sstat.gpu: graphics processors; filled by atopgpud. */
struct gpustat {
    int      nrgpus;                // entries of gpu in use
    struct pergpu gpu[32];
};

/* sstat.ifb.ifb: one port. */
struct perifb {
    char     ibname[12];            // [2.4-2.12]
    char     ibname[20];            // [2.13-]
    int16_t  portnr;                // its number
    int16_t  lanes;                 // lanes
    count_t  rate;                  // Mbit/s now
    count_t  rcvb;                  // data received, as port_rcv_data of /sys
    count_t  sndb;                  // data sent, as port_xmit_data of /sys
    count_t  rcvp;                  // packets received
    count_t  sndp;                  // packets sent
    count_t  cfuture[4];            // [2.11-]
};

/* sstat.ifb: InfiniBand. */
struct ifbstat {
    int      nrports;               // entries of ifb in use
    struct perifb ifb[32];
};

/* sstat.llc.perllc: one cache. */
struct perllc {
    uint8_t  id;                    // its number
    float    occupancy;             // part in use now
    count_t  mbm_local;             // bytes from local memory
    count_t  mbm_total;             // bytes from all memory
};

/* sstat.llc: last-level caches. */
struct llcstat {
    uint8_t  nrllcs;                // entries of perllc in use [2.8-2.9]
    int      nrllcs;                // entries of perllc in use [2.10-]
    struct perllc perllc[256];
};

/* sstat.www: the local Apache server. */
struct wwwstat {
    count_t  accesses;              // requests
    count_t  totkbytes;             // KiB
    count_t  uptime;                // s now
    int      bworkers;              // busy workers now
    int      iworkers;              // idle workers now
};

/* The whole machine. Its arrays are as long as atop allows; the number beside each tells what is filled. */
struct sstat {
    struct cpustat  cpu;
    struct memstat  mem;
    struct netstat  net;
    struct intfstat intf;
    struct memnuma  memnuma;        // [2.7-]
    struct cpunuma  cpunuma;        // [2.7-]
    struct dskstat  dsk;
    struct nfsstat  nfs;            // [2.2-]
    struct contstat cfs;            // [2.2-]
    struct pressure psi;            // [2.4-]
    struct gpustat  gpu;            // [2.4-]
    struct ifbstat  ifb;            // [2.4-]
    struct llcstat  llc;            // [2.8-]
    struct wwwstat  www;
};
